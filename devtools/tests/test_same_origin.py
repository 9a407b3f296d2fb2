"""Requests that a browser sends for pages of other sites are rejected."""

import asyncio
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from devtools.same_origin import SameOrigin

PAGE = "http://localhost:3000"


async def served(_: Request) -> Response:
    return PlainTextResponse("served")


app = SameOrigin(Starlette(routes=[Route("/", served, methods=["GET", "POST"])]), origins=[PAGE])


def post(host: str, **headers: str) -> httpx.Response:
    async def request() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
            return await http.post("/", headers={"Host": host} | headers)

    return asyncio.run(request())


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:3000",
        "LOCALHOST:3000",
        "127.0.0.1:4566",
        "[::1]:3000",
        "bucket.s3.localhost:1",
    ],
)
def test_names_of_this_machine_are_served(host: str) -> None:
    assert post(host).text == "served"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:3000",
        "localhost.evil.example:3000",
        "127.0.0.1.evil.example",
        "evil-localhost",
        "evil.example#localhost",
        "localhost@evil.example",
        "10.0.0.1:3000",
        "0.0.0.0:3000",
        "[::1",
        "",
    ],
)
def test_other_host_names_are_rejected(host: str) -> None:
    response = post(host)
    assert (response.status_code, response.headers["content-type"]) == (403, "application/problem+json")
    assert "Host" in response.json()["detail"]


@pytest.mark.parametrize("host", ["localhost:4566", "127.0.0.1:4566"])
def test_pages_of_the_server_and_of_allowed_origins_are_served(host: str) -> None:
    assert post(host, Origin=f"http://{host}").text == "served"
    assert post(host, Origin=PAGE).text == "served"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://localhost:8000",
        "http://localhost",
        "https://localhost:4566",
        "http://localhost:4566.evil.example",
        "http://127.0.0.1:4566",
        "",
    ],
)
def test_pages_of_other_origins_are_rejected(origin: str) -> None:
    response = post("localhost:4566", Origin=origin)
    assert response.status_code == 403
    assert "another origin" in response.json()["detail"]
    assert not [name for name in response.headers if name.startswith("access-control-")]


def test_websocket_connections_are_rejected() -> None:
    sent: list[Any] = []

    async def connect() -> None:
        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await app({"type": "websocket", "path": "/", "headers": [(b"host", b"localhost")]}, receive, send)

    asyncio.run(connect())
    assert sent == ["websocket.close"]
