"""The front door hands requests and answers on as they are."""

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest

from local.processes import free_port, wait_for

LIMIT = 10 * 1024 * 1024


class Api(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        asked = {"method": self.command, "target": self.path, "headers": self.headers.items()}
        content = json.dumps({**asked, "size": len(body)}).encode() if self.command != "HEAD" else b""
        self.send_response(418)
        self.send_header("Content-Type", "application/problem+json")
        self.send_header("Set-Cookie", "a=1")
        self.send_header("Set-Cookie", "b=2")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def api_port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def opened(api_port: int) -> Iterator[str]:
    port = free_port()
    api_url = f"http://127.0.0.1:{api_port}/api/stage"
    process = subprocess.Popen(
        [sys.executable, "-m", "local.front_door", "--port", str(port), "--api-url", api_url]
    )
    url = f"http://127.0.0.1:{port}"
    try:
        assert wait_for(lambda: is_open(url), 20)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def is_open(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def door(api_port: int) -> Iterator[str]:
    yield from opened(api_port)


@pytest.fixture
def door_to_nowhere() -> Iterator[str]:
    yield from opened(free_port())


@pytest.mark.parametrize(
    "target",
    [
        "/support-request",
        "/service/support-request?b=2&a=%20&a=%2F",
        "/tickets/%00%ff%2e%2e%2f",
        "/tickets/../../secret",
        "/",
        "//",
        "/healthz/",
    ],
)
def test_a_path_is_forwarded_as_it_was_written(door: str, target: str) -> None:
    with httpx.Client() as client:
        asked = client.get(door, extensions={"target": target.encode()}).json()
    assert asked["target"] == "/api/stage" + target


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_any_method_is_forwarded(door: str, method: str) -> None:
    assert httpx.request(method, f"{door}/tickets").json()["method"] == method


def test_a_head_request_is_forwarded_and_has_no_body(door: str) -> None:
    answer = httpx.head(f"{door}/tickets")
    assert (answer.status_code, answer.content) == (418, b"")


def test_a_signed_request_keeps_its_host_and_the_senders_address_is_added(door: str) -> None:
    headers = {"Host": "support.example.com", "X-Forwarded-For": "1.2.3.4"}
    sent = [(name.lower(), value) for name, value in httpx.get(door, headers=headers).json()["headers"]]
    assert ("host", "support.example.com") in sent
    assert [value for name, value in sent if name == "x-forwarded-for"] == ["1.2.3.4", "127.0.0.1"]


def test_an_answer_keeps_its_status_and_every_header(door: str) -> None:
    answer = httpx.get(f"{door}/tickets")
    assert answer.status_code == 418
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


def test_of_a_body_that_is_too_large_just_enough_is_forwarded_to_be_refused(door: str) -> None:
    assert httpx.post(f"{door}/tickets", content=b"x" * LIMIT).json()["size"] == LIMIT
    assert httpx.post(f"{door}/tickets", content=b"x" * (LIMIT + 4096)).json()["size"] == LIMIT + 1


def test_an_api_that_does_not_answer_is_a_problem_like_any_other(door_to_nowhere: str) -> None:
    answer = httpx.get(f"{door_to_nowhere}/tickets")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["type"] == "urn:support-pipeline:unavailable"
