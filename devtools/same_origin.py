"""Keep web pages of other sites away from the servers that listen on this machine.

A browser lets every page send requests to a port on loopback. Requests without a preflight arrive even if the
page may not read the response, and a page whose host name resolves to 127.0.0.1 (DNS rebinding) may read it
as well. Browsers send the page's origin and the requested host in headers that no page can change.
"""

from collections.abc import Collection
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class SameOrigin:
    """ASGI middleware that rejects requests from pages of another origin.

    `Host` must be a name of this machine, with any port: localhost, 127.0.0.1, [::1] or a name that ends in
    `.localhost`. `Origin`, if present, must be that host or one of `origins` (`http://localhost:3000`).
    WebSocket connections, which none of the servers offers, are always rejected.
    """

    def __init__(self, app: ASGIApp, *, origins: Collection[str] = ()) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or reject it with 403."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif reason := self._rejection(Headers(scope=scope)):
            await _forbidden(reason)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _rejection(self, headers: Headers) -> str | None:
        """Why a request is rejected; None if it is accepted."""
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or not _is_local(hosts[0]):
            return "The Host header must name this machine: use localhost or 127.0.0.1."
        if any(origin not in {f"http://{hosts[0]}", *self._origins} for origin in origins):
            return "Pages of another origin may not send requests to this server."
        return None


def _is_local(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name in _LOOPBACK or name.endswith(".localhost")


def _forbidden(reason: str) -> JSONResponse:
    problem = {
        "type": "urn:support-pipeline:forbidden",
        "title": "You do not have permission",
        "status": HTTPStatus.FORBIDDEN,
        "detail": reason,
    }
    return JSONResponse(problem, HTTPStatus.FORBIDDEN, media_type="application/problem+json")
