"""The stand-in refuses the fields that Bedrock refuses for the called model's family."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from devtools.model.tests.conftest import StandIn

BOTH = {"maxTokens": 700, "temperature": 1, "topP": 1}
ONE = {"maxTokens": 700, "temperature": 0}
NONE = {"maxTokens": 700}
TOP_K = {"inferenceConfig": {"topK": 1}}
TOOL = {"tool": {"name": "record_analysis"}}
ANY: dict[str, Any] = {"any": {}}
NOVA = "amazon.nova-lite-v1:0"
CLAUDE_3, CLAUDE_4 = "anthropic.claude-3-haiku-20240307-v1:0", "us.anthropic.claude-sonnet-4-20250514-v1:0"
CLAUDE_45, OPUS_47 = "eu.anthropic.claude-haiku-4-5-20251001-v1:0", "us.anthropic.claude-opus-4-7"
MISTRAL, LLAMA = "mistral.mistral-large-2407-v1:0", "us.meta.llama3-3-70b-instruct-v1:0"


def request(config: dict[str, Any], choice: dict[str, Any] | None, fields: Any = None) -> dict[str, Any]:
    """The parts of a request that depend on the family."""
    parts = {"inferenceConfig": config, "toolChoice": choice, "additionalModelRequestFields": fields}
    return {name: part for name, part in parts.items() if part is not None}


def converse(
    stand_in: StandIn, call: dict[str, Any], model_id: str, request: dict[str, Any]
) -> dict[str, Any]:
    """Make the call with another model and other family-specific parts."""
    common = {name: call[name] for name in ("system", "messages")}
    tools = {"tools": call["toolConfig"]["tools"]}
    choice = {name: request[name] for name in ("toolChoice",) if name in request}
    others = {name: part for name, part in request.items() if name != "toolChoice"}
    return stand_in.converse({"modelId": model_id, "toolConfig": tools | choice} | common | others)


@pytest.mark.parametrize(
    ("model_id", "request_"),
    [
        (NOVA, request(BOTH, TOOL, TOP_K)),
        (CLAUDE_3, request(BOTH, TOOL)),
        (CLAUDE_4, request(BOTH, TOOL)),
        (CLAUDE_45, request(ONE, TOOL)),
        (CLAUDE_45, request(NONE, TOOL)),
        (OPUS_47, request(NONE, TOOL)),
        (MISTRAL, request(ONE, ANY)),
        (LLAMA, request(NONE, None)),
    ],
)
def test_supported_fields_are_accepted(
    stand_in: StandIn, call: dict[str, Any], model_id: str, request_: dict[str, Any]
) -> None:
    assert converse(stand_in, call, model_id, request_)["stopReason"] == "tool_use"


@pytest.mark.parametrize(
    ("model_id", "request_", "expected"),
    [
        (CLAUDE_45, request(BOTH, TOOL), "`temperature` and `top_p` cannot both be specified"),
        ("global.anthropic.claude-opus-4-6-v1", request(BOTH, TOOL), "cannot both be specified"),
        (OPUS_47, request(ONE, TOOL), "`temperature` is deprecated for this model"),
        ("us.anthropic.claude-opus-5", request(ONE, TOOL), "`temperature` is deprecated for this model"),
        (CLAUDE_3, request(NONE, TOOL, TOP_K), "inferenceConfig: Extra inputs are not permitted"),
        (LLAMA, request(NONE, TOOL), "doesn't support the toolConfig.toolChoice.tool field"),
        (LLAMA, request(NONE, ANY), "doesn't support the toolConfig.toolChoice.any field"),
        (MISTRAL, request(ONE, TOOL), "doesn't support the toolConfig.toolChoice.tool field"),
    ],
)
def test_unsupported_fields_are_refused_with_the_error_of_the_family(
    stand_in: StandIn, call: dict[str, Any], model_id: str, request_: dict[str, Any], expected: str
) -> None:
    with pytest.raises(stand_in.bedrock.exceptions.ValidationException, match=re.escape(expected)):
        converse(stand_in, call, model_id, request_)
