"""The local stack's web server: the deployed API and the console at one short URL, and the API's docs.

Run as `python -m local.web_server --port 3000 --api-url http://… --console-url http://…`. It forwards
requests unchanged and has no logic of its own: API Gateway and the console accept or reject them. Like a
custom domain it keeps the Host header, which is part of what a client signs.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from devtools.same_origin import SameOrigin
from local.api_reference import site
from local.header_names import HeaderNameProtocol, original_headers
from local.settings import HOST

# Headers of a single connection (RFC 9110, 7.6.1), and Content-Length, which the HTTP client sets again.
_HOP_BY_HOP = {
    b"connection",
    b"keep-alive",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"content-length",
}
# One byte more than API Gateway accepts: enough for it to reject a longer body, which need not be kept.
_MAX_BODY = 10 * 1024 * 1024 + 1
# Far more than a browser or the load tests open, far fewer than the files that a process may open.
_MAX_CONNECTIONS = 256
_UNREACHABLE = {
    "type": "urn:support-pipeline:unavailable",
    "title": "The service is unavailable",
    "status": 503,
    "detail": "The local stack does not respond. If it has stopped, start it with `make run`.",
}
UNREACHABLE_HEADERS = {
    "Retry-After": "5",
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none';",
}


class _ReverseProxy:
    """An ASGI application that forwards every request, of any method, to the API or to the console."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._prefix = parts.path.encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._respond(request.app.state.client, await self._forwarded(request))
        except ClientDisconnect:
            return
        except httpx.TransportError:
            response = JSONResponse(
                _UNREACHABLE, 503, UNREACHABLE_HEADERS, media_type="application/problem+json"
            )
        await response(scope, receive, send)

    async def _respond(self, client: httpx.AsyncClient, request: httpx.Request) -> Response:
        return _response(await client.send(request))

    async def _forwarded(self, request: Request) -> httpx.Request:
        path, query = request.scope["raw_path"], request.scope["query_string"]
        if not path.startswith(b"/"):  # `OPTIONS *`, or a whole URL as for a proxy
            path = b"/" + path
        headers = [header for header in original_headers(request) if header[0].lower() not in _HOP_BY_HOP]
        client_ip = request.client.host if request.client else HOST
        client: httpx.AsyncClient = request.app.state.client
        return client.build_request(
            request.method,
            self._origin,
            headers=[*headers, (b"x-forwarded-for", client_ip.encode())],
            content=await _truncated_body(request),
            # Unchanged: decoding and encoding could turn it into a different path.
            extensions={"target": self._prefix + path + (query and b"?" + query)},
        )


class _StreamingProxy(_ReverseProxy):
    """Forwards responses as they come: some of the console's are endless streams of events."""

    async def _respond(self, client: httpx.AsyncClient, request: httpx.Request) -> Response:
        upstream = await client.send(request, stream=True)
        response = StreamingResponse(_chunks(upstream), upstream.status_code)
        response.raw_headers = [
            header for header in upstream.headers.raw if header[0].lower() not in _HOP_BY_HOP
        ]
        return response


async def _chunks(upstream: httpx.Response) -> AsyncIterator[bytes]:
    try:
        # The console may stop during a stream.
        with suppress(httpx.TransportError):
            async for chunk in upstream.aiter_raw():
                yield chunk
    finally:
        await upstream.aclose()


async def _truncated_body(request: Request) -> bytes:
    """As much of the body as API Gateway needs to accept or reject it."""
    kept = bytearray()
    async for chunk in request.stream():
        kept += chunk[: _MAX_BODY - len(kept)]
    return bytes(kept)


def _response(upstream: httpx.Response) -> Response:
    """The API's response, as the client gets it."""
    response = Response(upstream.content, upstream.status_code)
    removed = _HOP_BY_HOP | {b"content-encoding", b"date"}
    kept = [header for header in upstream.headers.raw if header[0].lower() not in removed]
    response.raw_headers = [*kept, *_content_length(upstream)]
    return response


def _content_length(upstream: httpx.Response) -> list[tuple[bytes, bytes]]:
    """The Content-Length of the decompressed content; none for a response that has no content."""
    if upstream.request.method == "HEAD" or upstream.status_code in (204, 304):
        return []
    return [(b"content-length", str(len(upstream.content)).encode())]


def create_app(api_url: str, console_url: str, origin: str) -> Starlette:
    """The web server for the API and the console at these URLs; `origin` is the API's AllowedOrigin."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        # The console closes idle connections after 5 seconds; a request on one of them would fail.
        limits = httpx.Limits(keepalive_expiry=2)
        async with httpx.AsyncClient(timeout=35, trust_env=False, limits=limits) as client:
            app.state.client = client
            yield

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    app = Starlette(
        routes=[
            Route("/healthz", healthz),
            *site.routes(),
            Route("/console{path:path}", _StreamingProxy(console_url)),
        ],
        lifespan=lifespan,
        middleware=[Middleware(SameOrigin, origins=[origin])],
    )
    app.router.default = _ReverseProxy(api_url)
    app.router.redirect_slashes = False
    return app


class _LimitedProtocol(HeaderNameProtocol):
    """uvicorn's HTTP protocol with a request timeout and a limit of connections.

    A connection is closed when no complete request has arrived within `request_seconds` after it was opened,
    or after the last response, and at once when too many connections are open.
    """

    request_seconds = 20.0
    _timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > _MAX_CONNECTIONS:
            transport.abort()
        else:
            self._start_timeout()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._start_timeout()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._cancel_timeout()

    def _start_timeout(self) -> None:
        self._cancel_timeout()
        self._timeout = self.loop.call_later(self.request_seconds, self._close_if_incomplete)

    def _cancel_timeout(self) -> None:
        if self._timeout:
            self._timeout.cancel()

    def _close_if_incomplete(self) -> None:
        responding = self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete
        if not responding:
            self.transport.abort()


def main() -> None:
    """Run the server until a signal stops it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--api-url", required=True)
    parser.add_argument("--console-url", required=True)
    parser.add_argument(
        "--request-seconds",
        type=float,
        default=_LimitedProtocol.request_seconds,
        help="seconds to wait for a complete request (20)",
    )
    arguments = parser.parse_args()
    _LimitedProtocol.request_seconds = arguments.request_seconds
    uvicorn.run(
        create_app(arguments.api_url, arguments.console_url, f"http://localhost:{arguments.port}"),
        host=HOST,
        port=arguments.port,
        http=_LimitedProtocol,
        log_level="warning",
        timeout_graceful_shutdown=1,  # a stream of events does not end by itself
        ws="none",  # forwards an upgrade request like any other
        proxy_headers=False,  # the client is the one that connected, not the one that a header names
    )


if __name__ == "__main__":
    main()
