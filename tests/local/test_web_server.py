"""The web server forwards requests and responses unchanged."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from local.processes import free_port, wait_for

LIMIT = 10 * 1024 * 1024
# Lets the stream go on.
release = Event()


class Api(BaseHTTPRequestHandler):
    """Responds with the request that it received."""

    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        if self.path == "/console/events":
            self._stream()
            return
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.endswith("/slow"):
            time.sleep(0.5)  # longer than the request timeout of `server_with_short_timeout`
        received = {"method": self.command, "target": self.path, "headers": self.headers.items()}
        content = json.dumps({**received, "size": len(body)}).encode() if self.command != "HEAD" else b""
        self.send_response(418)
        self.send_header("Content-Type", "application/problem+json")
        self.send_header("Set-Cookie", "a=1")
        self.send_header("Set-Cookie", "b=2")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"first")
        release.wait(10)
        self.wfile.write(b"second")
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def api_port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def running(api_port: int, *options: str) -> Iterator[str]:
    port = free_port()
    server = f"http://127.0.0.1:{api_port}"
    urls = ["--api-url", f"{server}/api/stage", "--console-url", server]
    process = subprocess.Popen(
        [sys.executable, "-m", "local.web_server", "--port", str(port), *urls, *options],
        stderr=subprocess.PIPE,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        assert wait_for(lambda: is_open(url), 20)
        yield url
    finally:
        process.terminate()
        assert process.communicate(timeout=10)[1] == b"", (
            "no request may cause an error message of the server"
        )


def is_open(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def server(api_port: int) -> Iterator[str]:
    yield from running(api_port)


@pytest.fixture
def server_without_api() -> Iterator[str]:
    yield from running(free_port())


@pytest.fixture(scope="module")
def server_with_short_timeout(api_port: int) -> Iterator[str]:
    yield from running(api_port, "--request-seconds", "0.2")


def connect(url: str, sent: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=20)
    connection.sendall(sent)
    return connection


@pytest.mark.parametrize("target", ["/console", "/console/", "/console/executions/a%3Ab?at=1&a=%2F"])
def test_the_console_gets_its_requests_unchanged(server: str, target: str) -> None:
    response = httpx.post(server + target, content=b"a=1")

    assert response.status_code == 418
    assert (response.json()["target"], response.json()["size"]) == (target, 3)
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]


def test_a_stream_of_the_console_is_forwarded_as_it_comes(server: str) -> None:
    with httpx.stream("GET", f"{server}/console/events") as response:
        chunks = response.iter_raw()
        assert next(chunks) == b"first"
        release.set()
        assert next(chunks) == b"second"


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json"])
def test_the_api_responds_to_other_methods_on_the_paths_of_the_pages(server: str, path: str) -> None:
    assert httpx.get(server + path).status_code in (200, 307)
    assert httpx.delete(server + path).json()["target"] == f"/api/stage{path}"


@pytest.mark.parametrize(
    "target",
    [
        "/support-request",
        "/service/support-request?b=2&a=%20&a=%2F",
        "/tickets/%00%ff%2e%2e%2f",
        "/tickets/../../secret",
        "//",
        "/healthz/",
    ],
)
def test_a_path_is_forwarded_unchanged(server: str, target: str) -> None:
    with httpx.Client() as client:
        received = client.get(server, extensions={"target": target.encode()}).json()
    assert received["target"] == "/api/stage" + target


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_any_method_is_forwarded(server: str, method: str) -> None:
    assert httpx.request(method, f"{server}/tickets").json()["method"] == method


def test_a_head_request_is_forwarded_and_has_no_body(server: str) -> None:
    response = httpx.head(f"{server}/tickets")
    assert (response.status_code, response.content) == (418, b"")


def test_the_host_is_forwarded_unchanged_and_the_clients_address_is_added(server: str) -> None:
    headers = {"Host": "support.localhost:8080", "X-Forwarded-For": "1.2.3.4"}
    sent = [
        (name.lower(), value)
        for name, value in httpx.get(f"{server}/tickets", headers=headers).json()["headers"]
    ]
    assert ("host", "support.localhost:8080") in sent
    assert [value for name, value in sent if name == "x-forwarded-for"] == ["1.2.3.4", "127.0.0.1"]


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}]
)
@pytest.mark.parametrize("path", ["/tickets", "/healthz", "/docs"])
def test_requests_from_pages_of_other_sites_are_rejected(
    server: str, path: str, headers: dict[str, str]
) -> None:
    response = httpx.get(server + path, headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (403, "application/problem+json")


def test_pages_of_the_web_server_may_call_the_api(server: str) -> None:
    for origin in (server, server.replace("127.0.0.1", "localhost")):
        assert httpx.post(f"{server}/tickets", headers={"Origin": origin}).status_code == 418


def test_header_names_keep_their_spelling(server: str) -> None:
    with httpx.Client() as client:  # several requests on one connection
        for name in ("X-Mixed-Case", "x-mixed-case", "X-MIXED-CASE"):
            assert [name, "1"] in client.get(f"{server}/tickets", headers={name: "1"}).json()["headers"]


def test_a_response_keeps_its_status_and_every_header(server: str) -> None:
    response = httpx.get(f"{server}/tickets")
    assert response.status_code == 418
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]


def test_a_body_above_the_apis_limit_is_cut_just_above_it(server: str) -> None:
    assert httpx.post(f"{server}/tickets", content=b"x" * LIMIT).json()["size"] == LIMIT
    assert httpx.post(f"{server}/tickets", content=b"x" * (LIMIT + 4096)).json()["size"] == LIMIT + 1


def test_an_unreachable_api_is_reported_as_problem_details(server_without_api: str) -> None:
    response = httpx.get(f"{server_without_api}/tickets")
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["retry-after"] == "5"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.json()["type"] == "urn:support-pipeline:unavailable"


HEAD = b"POST /tickets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"


@pytest.mark.parametrize("sent", [b"", b"P", HEAD, HEAD + b"\r\n", HEAD + b"\r\n{"])
def test_a_connection_with_an_incomplete_request_is_closed(
    server_with_short_timeout: str, sent: bytes
) -> None:
    with connect(server_with_short_timeout, sent) as connection:
        assert receive_until_closed(connection) == b""


def test_an_idle_connection_is_closed_after_the_response(server_with_short_timeout: str) -> None:
    with connect(server_with_short_timeout, HEAD + b"\r\n{}") as connection:
        assert receive_until_closed(connection).startswith(b"HTTP/1.1 418 ")


def test_a_complete_request_gets_its_response_however_long_the_api_takes(
    server_with_short_timeout: str,
) -> None:
    assert httpx.get(f"{server_with_short_timeout}/slow", timeout=20).status_code == 418


def test_the_number_of_connections_is_limited(server: str) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(server)) for _ in range(300)]

        def closed() -> int:
            return sum(is_closed(connection) for connection in connections)

        assert wait_for(lambda: closed() >= 300 - 256, 20)
        assert closed() < 50
    assert wait_for(lambda: is_open(server), 20)


def receive_until_closed(connection: socket.socket) -> bytes:
    """Receive until the server closes or resets the connection."""
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
