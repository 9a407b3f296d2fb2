"""The local stack's front door: one short address for the deployed API.

Run as `python -m local.web_server --port 3000 --api-url http://…`. It forwards requests as they are and
holds no logic: whatever is accepted or refused here, API Gateway accepted or refused. Like a custom domain
it keeps the Host, which signed requests cover.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from devtools.same_origin import SameOrigin
from local import header_names
from local.api_reference import site
from local.settings import HOST

# Meant for one connection only (RFC 9110, 7.6.1), or made anew by the client for the next.
_HOP_BY_HOP = {
    b"connection",
    b"keep-alive",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"content-length",
}
# Just more than API Gateway takes: it refuses what is longer, so that nobody has to keep all of it.
_MAX_BODY = 10 * 1024 * 1024 + 1
# Far above what a browser or the load tests open at a time, far below the files that a process may open.
_MAX_CONNECTIONS = 256
_UNREACHABLE = {
    "type": "urn:support-pipeline:unavailable",
    "title": "The service is unavailable",
    "status": 503,
    "detail": "The local stack does not answer: is it still running? Start it with `make run`.",
}
UNREACHABLE_HEADERS = {
    "Retry-After": "5",
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none';",
}


class _Forward:
    """An ASGI application that hands every request, of any method, to the API."""

    def __init__(self, api_url: str) -> None:
        parts = urlsplit(api_url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._prefix = parts.path.encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except ClientDisconnect:
            return
        except httpx.TransportError:
            problem = JSONResponse(
                _UNREACHABLE, 503, UNREACHABLE_HEADERS, media_type="application/problem+json"
            )
            await problem(scope, receive, send)
            return
        response = Response(answer.content, answer.status_code)
        left_out = _HOP_BY_HOP | {b"content-encoding", b"date"}
        kept = [pair for pair in answer.headers.raw if pair[0].lower() not in left_out]
        response.raw_headers = [*kept, *_content_length(answer)]
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> httpx.Response:
        path, query = request.scope["raw_path"], request.scope["query_string"]
        if not path.startswith(b"/"):  # `OPTIONS *`, or a whole URL, as to a proxy
            path = b"/" + path
        headers = [pair for pair in header_names.as_sent(request) if pair[0].lower() not in _HOP_BY_HOP]
        sender = request.client.host if request.client else HOST
        client: httpx.AsyncClient = request.app.state.client
        return await client.request(
            request.method,
            self._origin,
            headers=[*headers, (b"x-forwarded-for", sender.encode())],
            content=await _body(request),
            # As the client wrote it: decoding and encoding it again could make another path of it.
            extensions={"target": self._prefix + path + (query and b"?" + query)},
        )


async def _body(request: Request) -> bytes:
    """The body, as much as API Gateway needs to see of it."""
    kept = bytearray()
    async for chunk in request.stream():
        kept += chunk[: _MAX_BODY - len(kept)]
    return bytes(kept)


def _content_length(answer: httpx.Response) -> list[tuple[bytes, bytes]]:
    """Made anew, because compressed content has been unpacked; not where there is none to measure."""
    if answer.request.method == "HEAD" or answer.status_code in (204, 304):
        return []
    return [(b"content-length", str(len(answer.content)).encode())]


def create_app(api_url: str, origin: str) -> Starlette:
    """The front door of the API that is deployed at `api_url`; `origin` is the API's AllowedOrigin."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with httpx.AsyncClient(timeout=35, trust_env=False) as client:
            app.state.client = client
            yield

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    app = Starlette(
        routes=[Route("/healthz", healthz), *site.routes()],
        lifespan=lifespan,
        middleware=[Middleware(SameOrigin, origins=[origin])],
    )
    app.router.default = _Forward(api_url)
    app.router.redirect_slashes = False
    return app


class _Impatient(header_names.Protocol):
    """HTTP as uvicorn speaks it, but it waits neither for ever nor on any number of connections.

    A connection is closed when no whole request has arrived `request_seconds` after it was opened, or after
    its last answer, and at once when too many are open.
    """

    request_seconds = 20.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > _MAX_CONNECTIONS:
            transport.abort()
        else:
            self._expect_request()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget_deadline()

    def _expect_request(self) -> None:
        self._forget_deadline()
        self._deadline = self.loop.call_later(self.request_seconds, self._close_unless_answering)

    def _forget_deadline(self) -> None:
        if self._deadline:
            self._deadline.cancel()

    def _close_unless_answering(self) -> None:
        whole = self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete
        if not whole:
            self.transport.abort()


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--api-url", required=True)
    parser.add_argument(
        "--request-seconds",
        type=float,
        default=_Impatient.request_seconds,
        help="how long to wait for a whole request (20)",
    )
    arguments = parser.parse_args()
    _Impatient.request_seconds = arguments.request_seconds
    uvicorn.run(
        create_app(arguments.api_url, f"http://localhost:{arguments.port}"),
        host=HOST,
        port=arguments.port,
        http=_Impatient,
        log_level="warning",
        ws="none",  # a request to upgrade is forwarded as the request that it is
        proxy_headers=False,  # the sender is who connected, not who a header names
    )


if __name__ == "__main__":
    main()
