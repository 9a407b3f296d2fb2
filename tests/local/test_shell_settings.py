"""In a shell that has sourced aws.env, the AWS CLI calls the local stack and nothing else."""

import subprocess
from collections.abc import Iterator
from dataclasses import fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from local.stack import Stack


class RecordingServer(ThreadingHTTPServer):
    """Refuses every request, and records the service that it was signed for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Refusal)
        self.services = list[str]()


class _Refusal(BaseHTTPRequestHandler):
    server: RecordingServer

    def do_POST(self) -> None:
        scope = self.headers["Authorization"].partition("Credential=")[2].partition(",")[0]
        self.server.services.append(scope.split("/")[3])
        self.send_response(400)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    with RecordingServer() as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


# For these services, version 1 of the AWS CLI ignores AWS_ENDPOINT_URL.
@pytest.mark.parametrize(
    ("command", "service"),
    [("sqs list-queues", "sqs"), ("rds describe-db-instances", "rds"), ("health describe-events", "health")],
)
def test_the_aws_cli_calls_only_the_local_stack(
    tmp_path: Path, server: RecordingServer, command: str, service: str
) -> None:
    values = {field.name: "us-east-1" for field in fields(Stack)}
    stack = Stack(**values | {"endpoint_url": f"http://127.0.0.1:{server.server_port}"})
    stack.save_shell_settings(tmp_path)

    subprocess.run(["sh", "-c", f". {tmp_path}/aws.env; aws {command}"], capture_output=True, check=False)

    assert set(server.services) == {service}
