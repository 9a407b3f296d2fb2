"""What a browser sends for a page of another site is refused."""

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


def ask(host: str, **headers: str) -> httpx.Response:
    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
            return await http.post("/", headers={"Host": host} | headers)

    return asyncio.run(post())


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
    assert ask(host).text == "served"


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
def test_a_name_that_was_made_to_lead_here_is_refused(host: str) -> None:
    answer = ask(host)
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    assert "Host" in answer.json()["detail"]


@pytest.mark.parametrize("host", ["localhost:4566", "127.0.0.1:4566"])
def test_the_servers_own_pages_and_the_allowed_ones_are_served(host: str) -> None:
    assert ask(host, Origin=f"http://{host}").text == "served"
    assert ask(host, Origin=PAGE).text == "served"


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
def test_pages_of_another_origin_are_refused(origin: str) -> None:
    answer = ask("localhost:4566", Origin=origin)
    assert answer.status_code == 403
    assert "another origin" in answer.json()["detail"]
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_websockets_are_refused() -> None:
    sent: list[Any] = []

    async def connect() -> None:
        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await app({"type": "websocket", "path": "/", "headers": [(b"host", b"localhost")]}, receive, send)

    asyncio.run(connect())
    assert sent == ["websocket.close"]
