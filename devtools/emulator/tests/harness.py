"""The real emulator as a process of its own, and what tests need to drive it."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

REGION = "eu-central-1"
ROLE = "arn:aws:iam::000000000000:role/any"
START_SECONDS = 30


def eventually[T](what: Callable[[], T], seconds: float = 20) -> T:
    """The first true value of `what`."""
    deadline = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < deadline, f"still {value!r} after {seconds} s"
        time.sleep(0.02)
    return value


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def zip_of(source: str) -> bytes:
    """A function's code: the module `app`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", source)
    return buffer.getvalue()


@cache
def client(service: str, url: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=20, inject_host_prefix=False),
    )


@dataclass(frozen=True)
class Emulator:
    process: subprocess.Popen[bytes]
    port: int
    temporary: Path
    log: Path  # what its functions print
    output: Path  # what it prints itself

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str) -> Any:
        return client(service, self.url)

    def ask(self, service: str, target: str, body: Any) -> httpx.Response:
        """A signed request in the JSON protocol, which botocore might refuse to send."""
        headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.0"}
        request = AWSRequest("POST", self.url, headers, json.dumps(body).encode())
        SigV4Auth(Credentials("testing", "testing"), service, REGION).add_auth(request)
        return httpx.post(self.url, content=request.data, headers=dict(request.headers))

    def function(self, source: str, **settings: Any) -> str:
        """Create a function whose code is `source`; returns its name."""
        name = unique("function")
        self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler="app.handler",
            Code={"ZipFile": zip_of(source)},
            Timeout=settings.pop("timeout", 10),
            **{"Role": ROLE, **settings},
        )
        return name

    def invoke(self, function: str, event: Any = None) -> tuple[str | None, Any]:
        """What kind of error it was, or None, and the answer."""
        answer = self.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        return answer.get("FunctionError"), json.load(answer["Payload"])

    def queue(self, **attributes: str) -> tuple[str, str]:
        """Create a queue; returns its URL and its ARN."""
        client = self.client("sqs")
        url = client.create_queue(QueueName=unique("queue"), Attributes=attributes)["QueueUrl"]
        found = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        return url, found["QueueArn"]

    def consume(self, queue: str, function: str, **settings: Any) -> None:
        """Let a function consume the queue with this ARN, message by message."""
        self.client("lambda").create_event_source_mapping(
            EventSourceArn=queue, FunctionName=function, **{"BatchSize": 1, **settings}
        )

    def machine(self, definition: dict[str, Any], **settings: Any) -> str:
        """Create a state machine; returns its ARN."""
        created = self.client("stepfunctions").create_state_machine(
            name=unique("machine"),
            definition=json.dumps(definition),
            roleArn=ROLE,
            type="EXPRESS",
            **settings,
        )
        return str(created["stateMachineArn"])

    def run(self, machine: str, text: str = "{}") -> dict[str, Any]:
        """Run a state machine; returns the description of the ended execution."""
        started = self.client("stepfunctions").start_execution(stateMachineArn=machine, input=text)
        return self.ended(started["executionArn"])

    def run_sync(self, machine: str, text: str = "{}", **settings: Any) -> dict[str, Any]:
        """Run a state machine by StartSyncExecution; returns its answer."""
        client = self.client("stepfunctions")
        answer: dict[str, Any] = client.start_sync_execution(stateMachineArn=machine, input=text, **settings)
        return answer

    def ended(self, execution: str) -> dict[str, Any]:
        client = self.client("stepfunctions")

        def description() -> dict[str, Any] | None:
            found: dict[str, Any] = client.describe_execution(executionArn=execution)
            return found if found["status"] != "RUNNING" else None

        return eventually(description) or {}

    def deploy(
        self, stack: str, resources: dict[str, Any], capabilities: Sequence[str] = (), **sections: Any
    ) -> dict[str, str]:
        """Create a stack; returns the physical id of each resource. `sections` are the template's others."""
        client = self.client("cloudformation")
        template = json.dumps({"Resources": resources, **sections})
        client.create_stack(StackName=stack, TemplateBody=template, Capabilities=capabilities)

        def status() -> str:
            text: str = client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
            return "" if text.endswith("_IN_PROGRESS") else text

        ended = eventually(status)
        events = client.describe_stack_events(StackName=stack)["StackEvents"]
        reasons = [event.get("ResourceStatusReason") for event in events]
        assert ended == "CREATE_COMPLETE", [r for r in reasons if r]
        found = client.describe_stack_resources(StackName=stack)["StackResources"]
        return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found}

    def children(self) -> list[int]:
        """The process ids of the workers."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for task in tasks for pid in task.read_text().split()]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End the process; returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(timeout=20)


@contextmanager
def running(folder: Path, **environment: str) -> Iterator[Emulator]:
    """An emulator on a free port. It is ended at the end, if it still runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    temporary, log = folder / "tmp", folder / "functions.log"
    settings = {"GATEWAY_PORT": str(port), "EMULATOR_TMP": str(temporary), "FUNCTION_LOG": str(log)}
    settings["PAGE_ORIGIN"] = "http://localhost:3000"
    output = folder / "emulator.log"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "devtools.emulator"],
            env={**os.environ, **settings, **environment},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    emulator = Emulator(process, port, temporary, log, output)
    try:
        eventually(lambda: _is_healthy(emulator), START_SECONDS)
        yield emulator
    finally:
        emulator.stop()


def _is_healthy(emulator: Emulator) -> bool:
    assert emulator.process.poll() is None, "the emulator did not start"
    try:
        return httpx.get(f"{emulator.url}/_ministack/health", timeout=1).is_success
    except httpx.TransportError:
        return False
