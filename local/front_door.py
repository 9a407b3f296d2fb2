"""The local stack's front door: one short address for the deployed API.

Run as `python -m local.front_door --port 3000 --api-url http://…`. It forwards requests as they are and holds
no logic: whatever is accepted or refused here, API Gateway accepted or refused.
"""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.settings import HOST

# Meant for one connection only (RFC 9110, 7.6.1), or made anew by the client for the next.
_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
    "content-length",
}
_UNREACHABLE = {"message": "The local stack does not answer: is it still running? Start it with `make run`."}
_UNKNOWN = {"message": "Nothing is here. Try POST /support-request or GET /tickets/{ticketId}."}


def create_app(api_url: str) -> Starlette:
    """The front door of the API that is deployed at `api_url`."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with httpx.AsyncClient(timeout=35, trust_env=False) as client:
            app.state.client = client
            yield

    async def forward(request: Request) -> Response:
        try:
            answer = await request.app.state.client.request(
                request.method,
                api_url + request.scope["raw_path"].decode("ascii"),
                params=request.query_params.multi_items(),
                headers=[(name, value) for name, value in request.headers.items() if name not in _HOP_BY_HOP],
                content=await request.body(),
            )
        except httpx.TransportError:
            return JSONResponse(_UNREACHABLE, status_code=502)
        headers = {name: value for name, value in answer.headers.items() if name not in _HOP_BY_HOP}
        return Response(answer.content, answer.status_code, headers)

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def unknown(_request: Request, _error: Exception) -> Response:
        return JSONResponse(_UNKNOWN, status_code=404)

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/support-request", forward, methods=methods),
            Route("/tickets/{rest:path}", forward, methods=methods),
        ],
        exception_handlers={404: unknown},
        lifespan=lifespan,
    )


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--api-url", required=True)
    arguments = parser.parse_args()
    uvicorn.run(create_app(arguments.api_url), host=HOST, port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
