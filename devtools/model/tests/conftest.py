"""Running stand-ins, and an unmodified boto3 client that calls them as the Classify function does."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from mypy_boto3_bedrock_runtime import BedrockRuntimeClient

ROOT = Path(__file__).parents[3]
DOMAIN = ROOT / "functions" / "support" / "domain"
DEVELOPER_SETTINGS = ("MODEL", "AWS_")
NO_SETTINGS = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


class StandIn:
    """A running stand-in, and the calls that tests make to it."""

    def __init__(self, url: str, http: httpx.Client) -> None:
        self.url = url
        self.http = http

    @cached_property
    def bedrock(self) -> BedrockRuntimeClient:
        return boto3.client(
            "bedrock-runtime",
            endpoint_url=self.url,
            region_name="eu-central-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(retries={"total_max_attempts": 1, "mode": "standard"}, read_timeout=15),
        )

    def converse(self, call: dict[str, Any]) -> dict[str, Any]:
        return dict(self.bedrock.converse(**call))

    def outcomes(self, call: dict[str, Any], times: int) -> list[str]:
        """Make the same call several times; returns its error codes, "ok" for an answer."""
        return [self._outcome(call) for _ in range(times)]

    def post(self, path: str, body: bytes) -> httpx.Response:
        return self.http.post(self.url + path, content=body)

    def set_faults(self, faults: dict[str, Any]) -> None:
        self.post("/faults", json.dumps(faults).encode()).raise_for_status()

    def health(self) -> Any:
        return self.http.get(f"{self.url}/healthz").raise_for_status().json()

    def calls(self) -> dict[str, int]:
        """The counts of calls that are not zero."""
        counts: dict[str, int] = self.http.get(f"{self.url}/calls").raise_for_status().json()
        return {outcome: count for outcome, count in counts.items() if count}

    def reset(self) -> None:
        self.set_faults({})
        self.http.delete(f"{self.url}/calls").raise_for_status()

    def _outcome(self, call: dict[str, Any]) -> str:
        try:
            self.bedrock.converse(**call)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return "ok"


@pytest.fixture(scope="session")
def run() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Run Python with arguments and environment variables; the processes are stopped with the session."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(DEVELOPER_SETTINGS)}
    with ExitStack() as processes:

        def run(*arguments: str, **environment: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=inherited | NO_SETTINGS | environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            processes.enter_context(process)
            processes.callback(process.kill)
            return process

        yield run


@pytest.fixture(scope="session")
def reach() -> Iterator[Callable[[subprocess.Popen[str]], StandIn]]:
    """Wait until the stand-in in a process prints its URL."""
    with httpx.Client(timeout=15) as http:

        def reach(process: subprocess.Popen[str]) -> StandIn:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "http://127.0.0.1:" in line, process.communicate(timeout=10)
            return StandIn(line.split()[-1], http)

        yield reach


@pytest.fixture(scope="session")
def launch(
    run: Callable[..., subprocess.Popen[str]], reach: Callable[[subprocess.Popen[str]], StandIn]
) -> Callable[..., StandIn]:
    """Start a stand-in on a free port, with additional arguments and environment variables."""

    def launch(*arguments: str, **environment: str) -> StandIn:
        return reach(run("-m", "devtools.model", "--port", "0", *arguments, **environment))

    return launch


@pytest.fixture(scope="session")
def shared_stand_in(launch: Callable[..., StandIn]) -> StandIn:
    return launch("--slow-seconds", "0.2")


@pytest.fixture
def stand_in(shared_stand_in: StandIn) -> StandIn:
    """A stand-in with the rules, without faults, and with its counts at zero."""
    shared_stand_in.reset()
    return shared_stand_in


@pytest.fixture(scope="session")
def schema() -> dict[str, Any]:
    """The tool's input schema, with the categories of the taxonomy."""
    schema: dict[str, Any] = json.loads((DOMAIN / "analysis.schema.json").read_text(encoding="utf-8"))
    taxonomy = json.loads((DOMAIN / "taxonomy.json").read_text(encoding="utf-8"))
    schema["properties"]["category"]["enum"] = list(taxonomy["categories"])
    return schema


@pytest.fixture(scope="session")
def call_for(schema: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    """The arguments of the Converse call that the Classify function makes for a ticket."""

    def call_for(content: str, subject: str = "") -> dict[str, Any]:
        heading = f"Subject: {subject}\n\n" if subject else ""
        ticket = f"<ticket-1f3a9c2e>\n{heading}{content}\n</ticket-1f3a9c2e>"
        tool = {"name": "record_analysis", "description": "Record it.", "inputSchema": {"json": schema}}
        return {
            "modelId": "eu.amazon.nova-lite-v1:0",
            "system": [{"text": "You triage support tickets."}],
            "messages": [{"role": "user", "content": [{"text": ticket}]}],
            "toolConfig": {
                "tools": [{"toolSpec": tool}],
                "toolChoice": {"tool": {"name": "record_analysis"}},
            },
            "inferenceConfig": {"maxTokens": 700, "temperature": 1, "topP": 1},
            "additionalModelRequestFields": {"inferenceConfig": {"topK": 1}},
        }

    return call_for


@pytest.fixture
def call(call_for: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """The call for an ordinary ticket."""
    return call_for("The export crashes with an error.")
