"""Every response, of API Gateway and of the functions, has the security headers and allows one origin."""

import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.helpers.running_stack import RunningStack

CONTRACT = (Path(__file__).parents[2] / "api" / "openapi.yaml").read_text()
PATHS = [
    path.replace("{ticketId}", "7f9c24e8-3b12-4a5f-9d6e-1c2b3a4d5e6f")
    for path in re.findall(r"^  (/(?:support-request|tickets)\S*):$", CONTRACT, re.MULTILINE)
]
SECURITY = {
    "strict-transport-security": "max-age=63072000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none';",
}
ANSWERS: dict[str, tuple[int, Callable[[Any], httpx.Response]]] = {
    "an accepted ticket": (202, lambda stack: stack.post({"content": "It is broken."})),
    "a list": (200, lambda stack: stack.http.get("/tickets", headers=bearer(stack))),
    "a body that API Gateway refuses": (400, lambda stack: stack.post({})),
    "a parameter that the function refuses": (
        400,
        lambda stack: stack.http.get("/tickets?limit=0", headers=bearer(stack)),
    ),
    "no token": (401, lambda stack: stack.http.get("/tickets")),
    "an invalid token": (401, lambda stack: stack.get("x", token="not.a.token")),
    "a role without permission": (
        403,
        lambda stack: stack.http.post(f"/tickets/{uuid.uuid4()}/replay", headers=bearer(stack)),
    ),
    "an unknown ticket": (404, lambda stack: stack.get(str(uuid.uuid4()))),
    "an unknown path": (404, lambda stack: stack.http.get("/tickets/x/y/z", headers=bearer(stack))),
    "an unknown path, without a token": (404, lambda stack: stack.http.get("/nothing")),
    "the root": (404, lambda stack: stack.http.delete("/")),
    "an unknown method": (404, lambda stack: stack.http.delete("/tickets", headers=bearer(stack))),
    "a method that HTTP APIs do not have": (
        403,
        lambda stack: stack.http.request("PROPFIND", "/tickets", headers=bearer(stack)),
    ),
    "a preflight request for an unknown path": (404, lambda stack: stack.http.options("/nothing")),
    "a ticket whose id is a slash": (404, lambda stack: stack.get("%2F")),
    "an unsigned request": (403, lambda stack: stack.http.post("/service/support-request", json={})),
    "a token instead of a signature": (
        403,
        lambda stack: stack.http.post("/service/support-request", json={}, headers=bearer(stack)),
    ),
    "a form": (
        415,
        lambda stack: stack.http.post("/support-request", data={"content": "x"}, headers=bearer(stack)),
    ),
}


def bearer(stack: RunningStack) -> dict[str, str]:
    return {"Authorization": f"Bearer {stack.token()}"}


@pytest.mark.parametrize(("status", "ask"), ANSWERS.values(), ids=ANSWERS.keys())
def test_every_response_has_the_security_headers_and_allows_one_origin(
    stack: RunningStack, status: int, ask: Callable[[Any], httpx.Response]
) -> None:
    answer = ask(stack)

    assert answer.status_code == status, answer.text
    assert SECURITY.items() <= dict(answer.headers).items()
    assert answer.headers["access-control-allow-origin"] == stack.stack.web_url
    assert stack.token() not in answer.text
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status


@pytest.mark.parametrize("path", PATHS)
def test_a_preflight_says_what_pages_of_the_allowed_origin_may_send(stack: RunningStack, path: str) -> None:
    answer = stack.http.options(
        path,
        headers={"Origin": stack.stack.web_url, "Access-Control-Request-Method": "POST"},
    )

    assert (answer.status_code, answer.content) == (204, b"")
    assert SECURITY.items() <= dict(answer.headers).items()
    assert answer.headers["access-control-allow-origin"] == stack.stack.web_url
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    assert "OPTIONS" in answer.headers["access-control-allow-methods"]


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 204),
        ("application/json; charset=utf-8", 204),
        ("text/plain;charset=UTF-8", 204),
        ("application/x-www-form-urlencoded", 204),
        ("multipart/form-data; boundary=x", 204),
        ("image/png", 415),
    ],
)
def test_a_preflight_with_a_usual_content_type_gets_204(
    stack: RunningStack, content_type: str, status: int
) -> None:
    headers = {"Origin": stack.stack.web_url, "Content-Type": content_type}
    answer = stack.http.options("/support-request", headers=headers)

    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == stack.stack.web_url


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1"])
def test_pages_of_another_origin_get_403(stack: RunningStack, origin: str) -> None:
    for answer in (
        stack.http.options("/tickets", headers={"Origin": origin, "Access-Control-Request-Method": "GET"}),
        stack.http.get("/tickets", headers=bearer(stack) | {"Origin": origin}),
        stack.http.get("/tickets", headers={"Origin": origin}),
    ):
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
