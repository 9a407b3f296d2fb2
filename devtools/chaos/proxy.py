"""A proxy between the functions and AWS that makes calls fail.

Run as `python -m devtools.chaos.proxy --port 9000 --target http://127.0.0.1:4566`, and give the functions
`AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:9000/dynamodb` and `AWS_ENDPOINT_URL_SNS=http://127.0.0.1:9000/sns`:
the first part of the path names the service. The proxy signs forwarded calls again, for the target's address
and with its own AWS credentials.

POST /_faults    set faults (devtools.chaos.faults says what is allowed)
GET  /_counts    {service: {"passed": n, "throttled": n, …}}
GET  /healthz    {"status": "ok"}
"""

import argparse
import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import boto3
import httpx
import uvicorn
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from devtools.chaos.faults import Fault, Faults, InvalidFaultsError
from local.settings import HOST, REGION

# Longer than any read timeout of the functions' clients for these services; SNS's is the longest.
HOLD_SECONDS = 3.5
_HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length"}
_SIGNATURE = {"host", "authorization", "x-amz-date", "x-amz-security-token"}

# The error responses of the services themselves.
_DYNAMODB = {
    Fault.THROTTLED: (400, "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"),
    Fault.FAILED: (500, "com.amazon.coral.service#InternalServerError"),
}
_SNS = {
    Fault.THROTTLED: (400, "<Type>Sender</Type><Code>Throttled</Code>"),
    Fault.FAILED: (500, "<Type>Receiver</Type><Code>InternalFailure</Code>"),
}
SERVICES = ("dynamodb", "sns")


def create_app(target: str, *, hold_seconds: float = HOLD_SECONDS) -> Starlette:
    """The proxy in front of `target`."""
    faults = Faults()
    counts: dict[str, Counter[str]] = defaultdict(Counter)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with httpx.AsyncClient(base_url=target, timeout=30, trust_env=False) as client:
            app.state.client = client
            app.state.credentials = boto3.Session().get_credentials()
            yield

    async def call(request: Request) -> Response:
        service, _, path = request.path_params["path"].partition("/")
        if service not in SERVICES:
            return JSONResponse({"message": f"Choose one of {', '.join(SERVICES)}."}, status_code=404)
        fault = faults.draw(service)
        counts[service][fault or "passed"] += 1
        if fault is None:
            return await _forward(request, service, path)
        if fault.is_executed:
            await _forward(request, service, path)
        match fault:
            case Fault.THROTTLED | Fault.FAILED:
                return _error_response(service, fault)
            case Fault.TIMED_OUT | Fault.TIMED_OUT_LATE:
                await asyncio.sleep(hold_seconds)
            case Fault.DROPPED | Fault.DROPPED_LATE:
                _AbortableProtocol.abort(request)
        return Response(status_code=504)  # The client has closed the connection and never receives it.

    async def set_faults(request: Request) -> Response:
        try:
            faults.configure(json.loads(await request.body()))
        except (ValueError, InvalidFaultsError) as error:
            return JSONResponse({"message": str(error)}, status_code=400)
        return JSONResponse({})

    async def show_counts(_: Request) -> Response:
        return JSONResponse(counts)

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/_faults", set_faults, methods=["POST"]),
            Route("/_counts", show_counts),
            Route("/healthz", healthz),
            Route("/{path:path}", call, methods=["POST"]),
        ],
        lifespan=lifespan,
    )


async def _forward(request: Request, service: str, path: str) -> Response:
    """The target's response, or a server error if the target is unreachable."""
    body = await request.body()
    client: httpx.AsyncClient = request.app.state.client
    headers = {n: v for n, v in request.headers.items() if n not in _HOP_BY_HOP | _SIGNATURE}
    signed = AWSRequest("POST", str(client.base_url.join(f"/{path}")), headers, body)
    SigV4Auth(request.app.state.credentials, service, REGION).add_auth(signed)
    try:
        response = await client.post(f"/{path}", headers=dict(signed.headers), content=body)
    except httpx.TransportError:
        return _error_response(service, Fault.FAILED)
    kept = {name: value for name, value in response.headers.items() if name not in _HOP_BY_HOP}
    return Response(response.content, response.status_code, kept)


def _error_response(service: str, fault: Fault) -> Response:
    if service == "dynamodb":
        status, error = _DYNAMODB[fault]
        body = json.dumps({"__type": error, "message": "An injected fault."})
        return Response(body, status, media_type="application/x-amz-json-1.0")
    status, error = _SNS[fault]
    body = (
        '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">'
        f"<Error>{error}<Message>An injected fault.</Message></Error>"
        "<RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>"
    )
    return Response(body, status, media_type="text/xml")


class _AbortableProtocol(H11Protocol):
    """uvicorn's HTTP protocol with connections that can be aborted, which ASGI does not support."""

    _transports: dict[tuple[str, int], asyncio.Transport] = {}  # noqa: RUF012 (shared by all connections)

    @classmethod
    def abort(cls, request: Request) -> None:
        """Abort the connection of a request."""
        assert request.client is not None  # noqa: S101 - uvicorn sets it for every connection
        cls._transports[request.client.host, request.client.port].abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client is not None:
            self._transports[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.client is not None:
            self._transports.pop(self.client, None)


def main() -> None:
    """Run the server until a signal stops it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--target", required=True)
    arguments = parser.parse_args()
    uvicorn.run(
        create_app(arguments.target),
        host=HOST,
        port=arguments.port,
        http=_AbortableProtocol,
        log_level="warning",
        # Calls that are held until their client times out must not delay the shutdown.
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
