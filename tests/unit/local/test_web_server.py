"""The front door hands requests and answers on as they are."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
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
        if self.path.endswith("/slow"):
            time.sleep(0.5)  # longer than the impatient front door waits for a request
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


def opened(api_port: int, *options: str) -> Iterator[str]:
    port = free_port()
    api_url = f"http://127.0.0.1:{api_port}/api/stage"
    process = subprocess.Popen(
        [sys.executable, "-m", "local.web_server", "--port", str(port), "--api-url", api_url, *options],
        stderr=subprocess.PIPE,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        assert wait_for(lambda: is_open(url), 20)
        yield url
    finally:
        process.terminate()
        assert process.communicate(timeout=10)[1] == b"", (
            "nothing that a client does is an error of the server"
        )


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


@pytest.fixture(scope="module")
def impatient_door(api_port: int) -> Iterator[str]:
    yield from opened(api_port, "--request-seconds", "0.2")


def connect(url: str, sent: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=20)
    connection.sendall(sent)
    return connection


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
    headers = {"Host": "support.localhost:8080", "X-Forwarded-For": "1.2.3.4"}
    sent = [(name.lower(), value) for name, value in httpx.get(door, headers=headers).json()["headers"]]
    assert ("host", "support.localhost:8080") in sent
    assert [value for name, value in sent if name == "x-forwarded-for"] == ["1.2.3.4", "127.0.0.1"]


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}]
)
@pytest.mark.parametrize("path", ["/tickets", "/healthz", "/docs"])
def test_a_page_of_another_site_gets_no_answer(door: str, path: str, headers: dict[str, str]) -> None:
    answer = httpx.get(door + path, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")


def test_pages_of_the_front_door_may_call_the_api(door: str) -> None:
    for origin in (door, door.replace("127.0.0.1", "localhost")):
        assert httpx.post(f"{door}/tickets", headers={"Origin": origin}).status_code == 418


def test_header_names_are_forwarded_as_they_were_spelled(door: str) -> None:
    with httpx.Client() as client:  # several requests on one connection
        for name in ("X-Mixed-Case", "x-mixed-case", "X-MIXED-CASE"):
            assert [name, "1"] in client.get(door, headers={name: "1"}).json()["headers"]


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


HEAD = b"POST /tickets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"


@pytest.mark.parametrize("sent", [b"", b"P", HEAD, HEAD + b"\r\n", HEAD + b"\r\n{"])
def test_a_connection_whose_request_never_ends_is_closed(impatient_door: str, sent: bytes) -> None:
    with connect(impatient_door, sent) as connection:
        assert received_to_the_end(connection) == b""


def test_an_idle_connection_is_closed_after_its_answer(impatient_door: str) -> None:
    with connect(impatient_door, HEAD + b"\r\n{}") as connection:
        assert received_to_the_end(connection).startswith(b"HTTP/1.1 418 ")


def test_a_request_that_is_whole_gets_its_answer_however_long_the_api_takes(impatient_door: str) -> None:
    assert httpx.get(f"{impatient_door}/slow", timeout=20).status_code == 418


def test_the_number_of_connections_is_bounded(door: str) -> None:
    with ExitStack() as stack:
        opened = [stack.enter_context(connect(door)) for _ in range(300)]

        def closed() -> int:
            return sum(is_closed(connection) for connection in opened)

        assert wait_for(lambda: closed() >= 300 - 256, 20)
        assert closed() < 50
    assert wait_for(lambda: is_open(door), 20)


def received_to_the_end(connection: socket.socket) -> bytes:
    """All that is received until the other side closes the connection, or resets it."""
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except ConnectionResetError:
        pass
    return received


def is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
