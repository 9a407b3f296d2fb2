"""Other implementations of the AWS services that the pipeline uses, and the contract in the form for them.

LocalStack runs from its own virtual environment, `.venv-second-opinion`, without Docker and on loopback.
Velocity comes from Debian's packages. If one of them is missing, its tests are skipped with the reason.

These tests do not cover everything, because the implementations differ from AWS:

- LocalStack: gateway responses, authorizers, signatures and limits. Its templates do not support
  `toLowerCase()`. When it imports a document, it drops an integration's `credentials` and an operation's
  `awsSigv4`.
- Velocity is the engine that API Gateway uses, but does not have `$input` and `$util`. Render.java adds them:
  `$input` works as in the emulator, and `escapeJavaScript` is that of commons-lang 2.6.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
import yaml

from local.processes import free_port, wait_for
from local.settings import HOST

PROJECT = Path(__file__).parents[2]
MOCK_CONFIG = PROJECT / "tests" / "sfn_local" / "mock_config.json"
PYTHON = PROJECT / ".venv-second-opinion" / "bin" / "python"
START_SECONDS = 120

# The values that CloudFormation fills in.
VALUES = {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AllowedOrigin": "https://support.example.com",
    "TicketPipelineAliaslive": "arn:aws:states:us-east-1:123456789012:stateMachine:tickets:live",
}


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a LocalStack that runs the mock file."""
    if not PYTHON.exists():
        pytest.skip("LocalStack is not here: `make test-second-opinion` installs it from PyPI.")
    folder = tmp_path_factory.mktemp("localstack")
    address = f"{HOST}:{free_port()}"
    settings = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "GATEWAY_LISTEN": address,
        "GATEWAY_SERVER": "hypercorn",  # the default listens on every interface
        "SERVICES": "stepfunctions,apigateway,iam,sts",
        "STRICT_SERVICE_LOADING": "1",
        "SFN_MOCK_CONFIG": str(MOCK_CONFIG),
        # No request leaves the machine.
        "DISABLE_EVENTS": "1",
        "DNS_ADDRESS": "0",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
    }
    output = folder / "localstack.log"
    with (
        output.open("wb") as log,
        subprocess.Popen(
            [PYTHON, "-m", "localstack.runtime.main"],
            cwd=folder,
            env=settings,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            assert wait_for(lambda: process.poll() is not None or _is_healthy(address), START_SECONDS)
            assert process.poll() is None, output.read_text()
            yield f"http://{address}"
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def _is_healthy(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/_localstack/health", timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="session")
def apigateway(endpoint: str) -> Any:
    """A client of LocalStack's API Gateway."""
    return boto3.client("apigateway", endpoint_url=endpoint, region_name="us-east-1")


@pytest.fixture(scope="session")
def contract() -> dict[str, Any]:
    """api/openapi.yaml with its intrinsic functions resolved, as CloudFormation passes it to API Gateway."""
    document: dict[str, Any] = _resolved(yaml.safe_load((PROJECT / "api" / "openapi.yaml").read_text()))
    return document


def _resolved(value: Any) -> Any:
    match value:
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([\w:.]+)}", lambda name: _value(name[1]), text)
        case {"Fn::GetAtt": [str(resource), str(attribute)]}:
            return _value(f"{resource}.{attribute}")
        case {"Ref": str(name)}:
            return _value(name)
        case dict():
            return {key: _resolved(member) for key, member in value.items()}
        case list():
            return [_resolved(item) for item in value]
    return value


def _value(name: str) -> str:
    return VALUES.get(name, f"arn:aws:iam::123456789012:role/{name}")
