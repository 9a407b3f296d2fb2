"""The model stand-in in the test's own process: it answers a real client without a server or a socket."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict

from devtools.model.backends import choose_backend
from devtools.model.server import create_app

_EVENT = "before-send.bedrock-runtime"


class Model:
    """The stand-in; faults are set as its users set them."""

    def __init__(self, http: httpx.AsyncClient, portal: BlockingPortal) -> None:
        self._http = http
        self._portal = portal

    def fail(self, **faults: object) -> None:
        """Set faults: `fail(deny=1.0)`, `fail(next={"throttle": 2})`; `fail()` clears them."""
        self._ask("POST", "/faults", json=faults).raise_for_status()

    def calls(self) -> dict[str, int]:
        """The number of calls, by outcome."""
        return dict(self._ask("GET", "/calls").raise_for_status().json())

    def reset(self) -> None:
        """Clear the faults and the counts."""
        self.fail()
        self._ask("DELETE", "/calls").raise_for_status()

    @contextmanager
    def answering(self, client: Any) -> Iterator[None]:
        """Let the stand-in answer the calls of a bedrock-runtime client until the block ends."""
        client.meta.events.register(_EVENT, self._send)
        yield
        client.meta.events.unregister(_EVENT, self._send)

    def _send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        answer = self._ask(
            request.method,
            urlsplit(request.url).path,
            content=request.body,
            headers={"Content-Type": "application/json"},
        )
        headers = HeadersDict(dict(answer.headers))
        return AWSResponse(request.url, answer.status_code, headers, _Body(answer.content))  # type: ignore[arg-type]

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._portal.call(partial(self._http.request, method, path, **options))


@contextmanager
def running_model() -> Iterator[Model]:
    """The stand-in with its built-in rules."""
    app = create_app(choose_backend({}, timeout_seconds=60), slow_seconds=30)
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(http):
        yield Model(http, portal)


class _Body(io.BytesIO):
    def stream(self, **_: object) -> Iterator[bytes]:
        """The whole body; botocore reads responses with this method of urllib3."""
        yield self.read()
