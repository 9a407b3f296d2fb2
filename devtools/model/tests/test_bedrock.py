"""The backend that forwards to Bedrock. A second stand-in replaces Bedrock, so nothing leaves the machine."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from devtools.model.tests.conftest import StandIn

type Run = Callable[..., subprocess.Popen[str]]
type Reach = Callable[[subprocess.Popen[str]], StandIn]

FRONT = """
import sys
from devtools.model.__main__ import serve
from devtools.model.bedrock import BedrockBackend
from devtools.model.server import create_app

endpoint_url, timeout_seconds = sys.argv[1:]
serve(create_app(BedrockBackend(float(timeout_seconds), endpoint_url)), port=0)
"""
PROFILE = {
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
}


@pytest.fixture(scope="module")
def front(run: Run, reach: Reach, shared_stand_in: StandIn) -> StandIn:
    """A stand-in with the Bedrock backend; its Bedrock is the stand-in with the rules."""
    return reach(run("-c", FRONT, shared_stand_in.url, "10", **PROFILE))


def test_bedrocks_answer_is_returned(stand_in: StandIn, front: StandIn, call: dict[str, Any]) -> None:
    direct, forwarded = stand_in.converse(call), front.converse(call)

    assert _tool_use(forwarded)["input"] == _tool_use(direct)["input"]
    assert _tool_use(forwarded)["name"] == "record_analysis"
    assert forwarded["stopReason"] == "tool_use"
    assert forwarded["usage"] == direct["usage"]
    assert stand_in.calls() == {"total": 2, "ok": 2}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("throttle", ("ThrottlingException", 429)),
        ("deny", ("AccessDeniedException", 403)),
        ("error", ("InternalServerException", 500)),
    ],
)
def test_bedrocks_error_is_returned_with_its_code_and_status_and_without_a_retry(
    stand_in: StandIn, front: StandIn, call: dict[str, Any], fault: str, expected: tuple[str, int]
) -> None:
    stand_in.set_faults({fault: 1.0})

    with pytest.raises(ClientError) as raised:
        front.converse(call)

    response = raised.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == expected
    assert stand_in.calls() == {"total": 1, fault: 1}


def test_a_truncated_answer_of_bedrock_is_returned(
    stand_in: StandIn, front: StandIn, call: dict[str, Any]
) -> None:
    stand_in.set_faults({"truncated": 1.0})

    assert front.converse(call)["stopReason"] == "max_tokens"


def test_a_parameter_that_boto3_refuses_is_a_validation_exception(
    front: StandIn, call: dict[str, Any]
) -> None:
    call |= {"inferenceConfig": {"temperature": "hot"}, "self": "not a parameter of Converse"}

    response = front.post("/model/amazon.nova-lite-v1:0/converse", json.dumps(call).encode())

    assert (response.status_code, response.headers["x-amzn-errortype"]) == (400, "ValidationException")
    assert "temperature" in response.json()["message"]


def test_no_response_is_a_model_timeout_and_no_connection_is_unavailable(
    run: Run, reach: Reach, call: dict[str, Any]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        front = reach(run("-c", FRONT, url, "0.2", **PROFILE))
        with pytest.raises(front.bedrock.exceptions.ModelTimeoutException, match=url):
            front.converse(call)

    with pytest.raises(front.bedrock.exceptions.ServiceUnavailableException, match=url):
        front.converse(call)


def test_configured_endpoints_are_ignored(
    stand_in: StandIn, launch: Callable[..., StandIn], call: dict[str, Any]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        front = launch(
            MODEL="bedrock",
            AWS_ENDPOINT_URL=stand_in.url,
            AWS_ENDPOINT_URL_BEDROCK_RUNTIME=stand_in.url,
            HTTPS_PROXY=f"http://127.0.0.1:{proxy.getsockname()[1]}",
            **PROFILE,
        )
        assert front.health()["backend"] == "bedrock"

        with ThreadPoolExecutor() as threads:
            outcomes = threads.submit(front.outcomes, call, times=1)
            proxy.settimeout(10)
            connection, _ = proxy.accept()
            with connection:
                request = connection.recv(1000)

    assert request.startswith(b"CONNECT bedrock-runtime.eu-central-1.amazonaws.com:443 ")
    assert outcomes.result() == ["ServiceUnavailableException"]
    assert stand_in.calls() == {}


def test_an_unusable_profile_exits_with_2_and_one_line(run: Run) -> None:
    without_credentials = {"AWS_DEFAULT_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true"}
    unusable = [without_credentials, PROFILE | {"AWS_DEFAULT_REGION": ""}, {"AWS_PROFILE": "nobody"}]
    processes = [run("-m", "devtools.model", MODEL="bedrock", **settings) for settings in unusable]

    for process in processes:
        output, errors = process.communicate(timeout=30)
        assert (process.returncode, output) == (2, "")
        assert errors.startswith("MODEL=bedrock needs a usable AWS profile and region")
        assert errors.count("\n") == 1


def _tool_use(response: dict[str, Any]) -> Any:
    return response["output"]["message"]["content"][0]["toolUse"]
