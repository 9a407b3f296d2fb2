"""The emulator as a separate process, and what tests need to use it."""

import atexit
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
import psutil
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

REGION = "eu-central-1"
ROLE = "arn:aws:iam::000000000000:role/any"
ROOT = Credentials("LOCALROOT", "the root user's secret")
ROOT_ENVIRONMENT = {"AWS_ACCESS_KEY_ID": ROOT.access_key, "AWS_SECRET_ACCESS_KEY": ROOT.secret_key}
START_SECONDS = 30
# One client for all requests: a new one reads all certificates first, even for plain HTTP.
http = httpx.Client(trust_env=False)
atexit.register(http.close)


def eventually[T](get: Callable[[], T], seconds: float = 20) -> T:
    """Call `get` until it returns a true value, and return that."""
    deadline = time.monotonic() + seconds
    while not (value := get()):
        assert time.monotonic() < deadline, f"still {value!r} after {seconds} s"
        time.sleep(0.02)
    return value


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def policy(*statements: dict[str, Any]) -> str:
    """An IAM policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@dataclass(frozen=True)
class Emulator:
    process: subprocess.Popen[bytes]
    port: int
    temporary_folder: Path
    function_log: Path
    output: Path  # stdout and stderr of the process

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str, credentials: Credentials = ROOT) -> Any:
        return _client(service, self.url, credentials.access_key, credentials.secret_key, credentials.token)

    def post(self, service: str, target: str, body: Any) -> httpx.Response:
        """Send a signed request in the JSON protocol, even one that boto3 would refuse to send."""
        headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.0"}
        request = AWSRequest("POST", self.url, headers, json.dumps(body).encode())
        SigV4Auth(ROOT, service, REGION).add_auth(request)
        return http.post(self.url, content=request.data, headers=dict(request.headers))

    def create_user(self) -> tuple[str, Credentials]:
        """Create an IAM user without permissions; returns its name and its access key."""
        iam, name = self.client("iam"), unique("user")
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return name, Credentials(key["AccessKeyId"], key["SecretAccessKey"])

    def create_role(self, name: str) -> str:
        """Create a role that everybody may assume; returns its ARN."""
        services = ["lambda.amazonaws.com", "states.amazonaws.com", "apigateway.amazonaws.com"]
        principal = {"AWS": "*", "Service": services}
        trust = policy({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})
        created = self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)
        return str(created["Role"]["Arn"])

    def create_function(self, source: str, **settings: Any) -> str:
        """Create a function whose code is `source`; returns its name."""
        name = unique("function")
        self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler="app.handler",
            Code={"ZipFile": _zip(source)},
            Timeout=settings.pop("timeout", 10),
            **{"Role": ROLE, **settings},
        )
        return name

    def invoke(self, function: str, event: Any = None) -> tuple[str | None, Any]:
        """Invoke a function; returns the kind of error, if any, and the result."""
        response = self.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        return response.get("FunctionError"), json.load(response["Payload"])

    def create_queue(self, **attributes: str) -> tuple[str, str]:
        """Create a queue; returns its URL and its ARN."""
        client = self.client("sqs")
        url = client.create_queue(QueueName=unique("queue"), Attributes=attributes)["QueueUrl"]
        names = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        return url, names["QueueArn"]

    def map_queue(self, queue_arn: str, function: str, **settings: Any) -> None:
        """Create an event source mapping with a batch size of 1."""
        self.client("lambda").create_event_source_mapping(
            EventSourceArn=queue_arn, FunctionName=function, **{"BatchSize": 1, **settings}
        )

    def create_state_machine(self, definition: dict[str, Any], **settings: Any) -> str:
        """Create a state machine, EXPRESS by default; returns its ARN."""
        created = self.client("stepfunctions").create_state_machine(
            name=unique("machine"),
            definition=json.dumps(definition),
            roleArn=ROLE,
            **{"type": "EXPRESS", **settings},
        )
        return str(created["stateMachineArn"])

    def run(self, machine: str, text: str = "{}") -> dict[str, Any]:
        """Run a state machine; returns the description of the ended execution."""
        started = self.client("stepfunctions").start_execution(stateMachineArn=machine, input=text)
        return self.wait_for_end(started["executionArn"])

    def run_sync(self, machine: str, text: str = "{}", **settings: Any) -> dict[str, Any]:
        """Run a state machine with StartSyncExecution; returns the response."""
        client = self.client("stepfunctions")
        response: dict[str, Any] = client.start_sync_execution(
            stateMachineArn=machine, input=text, **settings
        )
        return response

    def wait_for_end(self, execution: str) -> dict[str, Any]:
        """Wait for the end of an execution; returns its description."""
        client = self.client("stepfunctions")

        def description() -> dict[str, Any] | None:
            described: dict[str, Any] = client.describe_execution(executionArn=execution)
            return described if described["status"] != "RUNNING" else None

        return eventually(description) or {}

    def deploy(
        self, stack: str, resources: dict[str, Any], capabilities: Sequence[str] = (), **sections: Any
    ) -> dict[str, str]:
        """Create a stack; returns the physical ids by logical id. `sections` are other template sections."""
        client = self.client("cloudformation")
        template = json.dumps({"Resources": resources, **sections})
        client.create_stack(StackName=stack, TemplateBody=template, Capabilities=capabilities)

        def final_status() -> str:
            status: str = client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
            return "" if status.endswith("_IN_PROGRESS") else status

        status = eventually(final_status)
        events = client.describe_stack_events(StackName=stack)["StackEvents"]
        reasons = [event.get("ResourceStatusReason") for event in events]
        assert status == "CREATE_COMPLETE", [reason for reason in reasons if reason]
        created = client.describe_stack_resources(StackName=stack)["StackResources"]
        return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in created}

    def worker_pids(self) -> list[int]:
        return [child.pid for child in psutil.Process(self.process.pid).children()]

    def stop(self, signal_number: signal.Signals = signal.SIGTERM) -> int:
        """Stop the process; returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        return self.process.wait(timeout=20)


@contextmanager
def running(folder: Path, **environment: str) -> Iterator[Emulator]:
    """Start an emulator on a free port, and stop it at the end of the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    temporary_folder, function_log, output = folder / "tmp", folder / "functions.log", folder / "emulator.log"
    settings = {
        "GATEWAY_PORT": str(port),
        "EMULATOR_TMP": str(temporary_folder),
        "FUNCTION_LOG": str(function_log),
        "PAGE_ORIGIN": "http://localhost:3000",
    }
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "devtools.emulator"],
            env={**os.environ, **ROOT_ENVIRONMENT, **settings, **environment},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    emulator = Emulator(process, port, temporary_folder, function_log, output)
    try:
        eventually(lambda: _is_healthy(emulator), START_SECONDS)
        yield emulator
    finally:
        emulator.stop()


def _is_healthy(emulator: Emulator) -> bool:
    assert emulator.process.poll() is None, f"the emulator did not start: {emulator.output.read_text()}"
    try:
        return http.get(f"{emulator.url}/_ministack/health", timeout=1).is_success
    except httpx.TransportError:
        return False


@cache
def _client(service: str, url: str, access_key: str, secret_key: str, token: str | None) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=20, inject_host_prefix=False),
    )


def _zip(source: str) -> bytes:
    """A deployment package with the module `app`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("app.py"), source)  # without the time: equal sources, equal packages
    return buffer.getvalue()
