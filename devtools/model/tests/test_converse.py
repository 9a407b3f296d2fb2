"""The wire protocol, tested with an unmodified boto3 client and plain HTTP."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from devtools.model.tests.conftest import StandIn

type CallFor = Callable[..., dict[str, Any]]

PROFILE = "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0"
PATH = f"/model/{quote(PROFILE, safe='')}/converse"


def test_the_answer_is_one_call_of_the_forced_tool(stand_in: StandIn, call: dict[str, Any]) -> None:
    response = stand_in.converse(call)

    message = response["output"]["message"]
    (block,) = message["content"]
    assert message["role"] == "assistant"
    assert block["toolUse"]["name"] == "record_analysis"
    assert block["toolUse"]["toolUseId"]
    assert response["stopReason"] == "tool_use"
    assert response["metrics"]["latencyMs"] >= 0
    assert response["ResponseMetadata"]["RequestId"]


def test_usage_is_estimated_at_four_characters_per_token(stand_in: StandIn, call_for: CallFor) -> None:
    short = stand_in.converse(call_for("The export is slow."))["usage"]
    long = stand_in.converse(call_for("The export is slow." + " Really." * 500))["usage"]

    assert long["inputTokens"] - short["inputTokens"] == 8 * 500 / 4
    assert short["totalTokens"] == short["inputTokens"] + short["outputTokens"]


@pytest.mark.parametrize("model_id", ["amazon.nova-lite-v1:0", PROFILE])
def test_a_model_id_may_be_the_arn_of_an_inference_profile(
    stand_in: StandIn, call: dict[str, Any], model_id: str
) -> None:
    response = stand_in.converse(call | {"modelId": model_id})

    assert response["stopReason"] == "tool_use"


def test_the_system_prompt_and_the_settings_are_optional(stand_in: StandIn, call: dict[str, Any]) -> None:
    required = {name: call[name] for name in ("modelId", "messages", "toolConfig")}

    assert stand_in.converse(required)["stopReason"] == "tool_use"


def _without_tool_choice(call: dict[str, Any]) -> None:
    del call["toolConfig"]["toolChoice"]


def _with_any_tool(call: dict[str, Any]) -> None:
    call["toolConfig"]["toolChoice"] = {"any": {}}


def _without_tools(call: dict[str, Any]) -> None:
    del call["toolConfig"]


def _with_an_unknown_tool(call: dict[str, Any]) -> None:
    call["toolConfig"]["toolChoice"] = {"tool": {"name": "other_tool"}}


def _with_an_unsupported_field(call: dict[str, Any]) -> None:
    tool = call["toolConfig"]["tools"][0]["toolSpec"]
    tool["inputSchema"] = {"json": {"type": "object", "required": ["urgency", "weather"]}}


def _without_ticket_tags(call: dict[str, Any]) -> None:
    call["messages"][0]["content"][0]["text"] = "The export is slow."


def _with_another_nonce_at_the_end(call: dict[str, Any]) -> None:
    call["messages"][0]["content"][0]["text"] = "<ticket-1f3a9c2e>\nHello\n</ticket-00000000>"


def _with_two_messages(call: dict[str, Any]) -> None:
    call["messages"] *= 2


def _with_guardrail(call: dict[str, Any], **change: object) -> None:
    call["guardrailConfig"] = {"guardrailIdentifier": "abc123", "guardrailVersion": "1"} | change
    text = call["messages"][0]["content"][0].pop("text")
    call["messages"][0]["content"][0]["guardContent"] = {"text": {"text": text}}


def _with_an_invalid_guardrail_id(call: dict[str, Any]) -> None:
    _with_guardrail(call, guardrailIdentifier="Abc 123")


def _with_an_empty_guardrail_id(call: dict[str, Any]) -> None:
    _with_guardrail(call, guardrailIdentifier="")


def _with_an_invalid_guardrail_version(call: dict[str, Any]) -> None:
    _with_guardrail(call, guardrailVersion="0")


def _with_an_unknown_trace(call: dict[str, Any]) -> None:
    _with_guardrail(call, trace="on")


def _with_guarded_content_that_is_not_text(call: dict[str, Any]) -> None:
    _with_guardrail(call)
    call["messages"][0]["content"][0]["guardContent"] = {"text": "text"}


def _with_an_unknown_qualifier(call: dict[str, Any]) -> None:
    _with_guardrail(call)
    call["messages"][0]["content"][0]["guardContent"]["text"]["qualifiers"] = ["trusted"]


def _without_text(call: dict[str, Any]) -> None:
    call["messages"][0]["content"] = []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_without_tool_choice, "forced tool"),
        (_with_any_tool, "forced tool"),
        (_without_tools, "toolConfig.tools must be an array"),
        (_with_an_unknown_tool, "'other_tool', which is not in toolConfig.tools"),
        (_with_an_unsupported_field, "cannot fill weather"),
        (_without_ticket_tags, "between <ticket-NONCE> and </ticket-NONCE>"),
        (_with_another_nonce_at_the_end, "between <ticket-NONCE> and </ticket-NONCE>"),
        (_with_two_messages, "exactly one message"),
        (_without_text, "at least one block"),
        (_with_an_invalid_guardrail_id, "guardrailIdentifier must be the id or the ARN"),
        (_with_an_empty_guardrail_id, "guardrailIdentifier must be the id or the ARN"),
        (_with_an_invalid_guardrail_version, "guardrailVersion must be a positive integer"),
        (_with_an_unknown_trace, "guardrailConfig.trace must be one of"),
        (_with_guarded_content_that_is_not_text, "guardContent.text must be an object"),
        (_with_an_unknown_qualifier, "qualifiers must be a list of"),
    ],
)
def test_an_invalid_call_raises_a_validation_exception_that_says_what_is_expected(
    stand_in: StandIn, call: dict[str, Any], change: Callable[[dict[str, Any]], None], expected: str
) -> None:
    change(call)

    response = stand_in.post(PATH, json.dumps(call).encode())

    assert (response.status_code, response.headers["x-amzn-errortype"]) == (400, "ValidationException")
    assert expected in response.json()["message"]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"trace": "enabled_full"},
        {"guardrailVersion": "DRAFT"},
        {"guardrailIdentifier": "arn:aws:bedrock:eu-central-1:123456789012:guardrail/abc123"},
    ],
)
def test_a_call_may_name_a_guardrail_and_mark_the_ticket_for_it(
    stand_in: StandIn, call: dict[str, Any], change: dict[str, Any]
) -> None:
    _with_guardrail(call, **change)
    call["messages"][0]["content"][0]["guardContent"]["text"]["qualifiers"] = ["guard_content"]

    assert stand_in.converse(call)["stopReason"] == "tool_use"


def test_boto3_raises_the_validation_exception(stand_in: StandIn, call: dict[str, Any]) -> None:
    _without_tool_choice(call)

    with pytest.raises(ClientError, match="forced tool") as raised:
        stand_in.converse(call)

    assert raised.value.response["Error"]["Code"] == "ValidationException"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


MESSAGE = {"role": "user", "content": [{"text": "<ticket-1f>\nHello\n</ticket-1f>"}]}
CHOICE = {"tool": {"name": "t"}}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"[]",
        b"null",
        b"{}",
        b'{"messages": {}}',
        b'{"messages": [null]}',
        b'{"messages": [{"role": "user", "content": "text"}]}',
        b'{"messages": [{"role": "user", "content": [{"text": 1}]}]}',
        json.dumps({"messages": [MESSAGE], "system": "text"}).encode(),
        json.dumps({"messages": [MESSAGE], "toolConfig": []}).encode(),
        json.dumps({"messages": [MESSAGE], "toolConfig": {"tools": [None], "toolChoice": CHOICE}}).encode(),
        json.dumps(
            {"messages": [MESSAGE], "toolConfig": {"tools": [{"toolSpec": 1}], "toolChoice": CHOICE}}
        ).encode(),
        json.dumps(
            {
                "messages": [MESSAGE],
                "toolConfig": {"tools": [{"toolSpec": {"name": "t"}}], "toolChoice": CHOICE},
            }
        ).encode(),
        json.dumps(
            {"messages": [MESSAGE], "toolConfig": {"tools": [], "toolChoice": {"tool": {"name": ["t"]}}}}
        ).encode(),
    ],
)
def test_an_invalid_body_is_refused_with_a_reason_and_counted_as_invalid(
    stand_in: StandIn, body: bytes
) -> None:
    response = stand_in.post(PATH, body)

    assert (response.status_code, response.headers["x-amzn-errortype"]) == (400, "ValidationException")
    assert len(response.json()["message"]) > 20
    assert stand_in.calls() == {"total": 1, "invalid": 1}


@pytest.mark.parametrize("limit", [0, -1, 1.5, "many", True])
def test_a_token_limit_that_is_not_a_positive_integer_is_refused(
    stand_in: StandIn, call: dict[str, Any], limit: object
) -> None:
    body = json.dumps(call | {"inferenceConfig": {"maxTokens": limit}}).encode()

    assert "maxTokens" in stand_in.post(PATH, body).json()["message"]


def test_other_operations_of_bedrock_are_refused(stand_in: StandIn) -> None:
    with pytest.raises(ClientError, match="supports only Bedrock's Converse") as raised:
        stand_in.bedrock.invoke_model(modelId="amazon.nova-lite-v1:0", body=b"{}")

    assert raised.value.response["Error"]["Code"] == "UnknownOperationException"


def test_the_health_check_returns_the_backend(stand_in: StandIn) -> None:
    assert stand_in.health() == {"status": "ok", "backend": "rules"}


def test_an_invalid_model_exits_with_2_and_one_line(run: Callable[..., subprocess.Popen[str]]) -> None:
    processes = [
        run("-m", "devtools.model", "--port", "0", MODEL=value)
        for value in ("gpt", "http://", "http://[", "localhost:11434")
    ]

    for process in processes:
        output, errors = process.communicate(timeout=30)
        assert (process.returncode, output) == (2, "")
        assert errors.startswith("MODEL=")
        assert errors.count("\n") == 1


def test_a_port_in_use_is_named(run: Callable[..., subprocess.Popen[str]], stand_in: StandIn) -> None:
    process = run("-m", "devtools.model", "--port", stand_in.url.rpartition(":")[2])

    _, errors = process.communicate(timeout=30)

    assert process.returncode == 3
    assert "address already in use" in errors.lower()
    assert "Traceback" not in errors


def test_a_duration_must_be_a_positive_number(run: Callable[..., subprocess.Popen[str]]) -> None:
    processes = [
        run("-m", "devtools.model", "--slow-seconds", "nan"),
        run("-m", "devtools.model", MODEL_TIMEOUT_SECONDS="0"),
    ]

    for process in processes:
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 2
        assert "is not a positive number of seconds" in errors
