"""The requests to the model, and the handling of its answers."""

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.validate import ParamValidator

from support.aws import clients
from support.aws.model import MAX_TOKENS, AnalysisTool, Guardrail, TriageModel
from support.domain import analysis_schema
from support.domain.errors import ModelOutputInvalid, ModelRefused, ModelRejected
from support.domain.prompt import INSTRUCTIONS
from support.domain.token_prices import TokenPrices

UPDATE = json.loads((Path(__file__).parents[2] / "events" / "update" / "analysis.json").read_text())
ANSWER = {name: UPDATE["ticket"]["analysis"][name] for name in analysis_schema.SCHEMA["properties"]}
NO_GUARDRAIL = Guardrail(id="", version="")
OUR_TOOL = ("record_analysis",)


class FakeBedrock:
    """Returns one answer for every call, with one or more tool calls, and records the call in `request`."""

    def __init__(
        self, answer: Any = ANSWER, stop_reason: str = "tool_use", tools: tuple[str, ...] = OUR_TOOL
    ) -> None:
        self.request: dict[str, Any] = {}
        content: list[dict[str, Any]] = [{"text": "thinking"}]
        if answer is not None:
            content += [{"toolUse": {"toolUseId": "t", "name": name, "input": answer}} for name in tools]
        self._response = {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": stop_reason,
            "usage": {"inputTokens": 500, "outputTokens": 120, "totalTokens": 620},
            "metrics": {"latencyMs": 900},
        }

    def converse(self, **call: Any) -> dict[str, Any]:
        self.request = call
        return self._response


def model(
    bedrock: Any, model_id: str = "amazon.nova-lite-v1:0", guardrail: Guardrail = NO_GUARDRAIL, **tool: Any
) -> TriageModel:
    return TriageModel(bedrock, model_id, guardrail, TokenPrices(0.06, 0.24), **tool)


def test_a_tool_call_is_the_answer() -> None:
    answer = model(FakeBedrock()).ask("block")

    assert answer.document == ANSWER
    assert not answer.stopped_early
    assert (answer.input_tokens, answer.output_tokens, answer.latency_ms) == (500, 120, 900)


def test_the_tool_call_is_forced_and_the_output_limited() -> None:
    bedrock = FakeBedrock()
    model(bedrock).ask("block")

    tools = bedrock.request["toolConfig"]
    assert tools["toolChoice"] == {"tool": {"name": tools["tools"][0]["toolSpec"]["name"]}}
    assert tools["tools"][0]["toolSpec"]["inputSchema"]["json"] == analysis_schema.TOOL_SCHEMA
    assert bedrock.request["inferenceConfig"]["maxTokens"] == MAX_TOKENS


def test_a_tool_with_other_categories_replaces_ours() -> None:
    tool = AnalysisTool(analysis_schema.schema_for({"CARD": "cards", "OTHER": ""}))
    bedrock = FakeBedrock(ANSWER | {"category": "CARD"})
    other = model(bedrock, tool=tool)

    assert other.ask("block").document["category"] == "CARD"
    offered = bedrock.request["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"]
    assert offered["properties"]["category"]["enum"] == ["CARD", "OTHER"]
    with pytest.raises(ModelOutputInvalid):
        model(bedrock).ask("block")


def test_the_ticket_is_separate_from_the_instructions() -> None:
    bedrock = FakeBedrock()
    model(bedrock).ask("the ticket")

    assert bedrock.request["system"] == [{"text": INSTRUCTIONS}]
    assert bedrock.request["messages"] == [{"role": "user", "content": [{"text": "the ticket"}]}]


SHAPES = {
    "amazon.nova": {
        "inferenceConfig": {"maxTokens": MAX_TOKENS, "temperature": 1, "topP": 1},
        "additionalModelRequestFields": {"inferenceConfig": {"topK": 1}},
        "toolChoice": {"tool": {"name": "record_analysis"}},
    },
    "anthropic.claude": {
        "inferenceConfig": {"maxTokens": MAX_TOKENS},
        "toolChoice": {"tool": {"name": "record_analysis"}},
    },
    "mistral.": {"inferenceConfig": {"maxTokens": MAX_TOKENS, "temperature": 0}, "toolChoice": {"any": {}}},
    "": {"inferenceConfig": {"maxTokens": MAX_TOKENS}},
}
MODELS = {
    "amazon.nova-lite-v1:0": "amazon.nova",
    "us.amazon.nova-lite-v1:0": "amazon.nova",
    "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0": "amazon.nova",
    "anthropic.claude-3-haiku-20240307-v1:0": "anthropic.claude",
    "global.anthropic.claude-haiku-4-5-20251001-v1:0": "anthropic.claude",
    "us.anthropic.claude-opus-4-7": "anthropic.claude",
    "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-6": (
        "anthropic.claude"
    ),
    "mistral.mistral-large-2407-v1:0": "mistral.",
    "us.meta.llama3-3-70b-instruct-v1:0": "",
    "cohere.command-r-plus-v1:0": "",
    # An application inference profile does not reveal its model.
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123": "",
}


@pytest.mark.parametrize("model_id", MODELS)
def test_each_family_gets_only_the_parameters_that_it_supports(model_id: str) -> None:
    bedrock = FakeBedrock()
    model(bedrock, model_id).ask("block")

    sent = dict(bedrock.request)
    tools = sent.pop("toolConfig")
    depends = {
        name: sent[name] for name in ("inferenceConfig", "additionalModelRequestFields") if name in sent
    }
    chosen = {"toolChoice": tools["toolChoice"]} if "toolChoice" in tools else {}
    assert depends | chosen == SHAPES[MODELS[model_id]]
    assert sent["modelId"] == model_id


@pytest.mark.parametrize("guardrail", [NO_GUARDRAIL, Guardrail(id="abc123", version="1")])
@pytest.mark.parametrize("model_id", MODELS)
def test_every_request_is_valid_for_botocore(model_id: str, guardrail: Guardrail) -> None:
    bedrock = FakeBedrock()
    model(bedrock, model_id, guardrail).ask("block")

    shape = clients.bedrock_runtime().meta.service_model.operation_model("Converse").input_shape
    assert shape is not None
    assert not ParamValidator().validate(bedrock.request, shape).has_errors()


@pytest.mark.parametrize("model_id", [one for one in MODELS if not one.startswith("arn:")])
def test_every_family_answers_with_a_tool_call(model_server: object, model_id: str) -> None:
    answer = model(clients.bedrock_runtime(), model_id).ask("<ticket-1>\nI was charged twice.\n</ticket-1>")

    assert answer.document["category"] == "BILLING"


@pytest.mark.parametrize("reason", ["end_turn", "stop_sequence", "something_new"])
def test_a_valid_answer_with_another_stop_reason_is_marked_as_stopped_early(reason: str) -> None:
    assert model(FakeBedrock(stop_reason=reason)).ask("block").stopped_early


@pytest.mark.parametrize(
    "reason", ["max_tokens", "malformed_tool_use", "malformed_model_output", "model_context_window_exceeded"]
)
def test_a_truncated_or_malformed_answer_is_invalid(reason: str) -> None:
    with pytest.raises(ModelOutputInvalid, match=reason):
        model(FakeBedrock(stop_reason=reason)).ask("block")


@pytest.mark.parametrize("reason", ["content_filtered", "guardrail_intervened"])
def test_a_filtered_answer_is_a_refusal(reason: str) -> None:
    with pytest.raises(ModelRefused, match=reason):
        model(FakeBedrock(stop_reason=reason)).ask("block")


def test_an_answer_without_a_tool_call_is_invalid() -> None:
    with pytest.raises(ModelOutputInvalid, match="without calling the tool"):
        model(FakeBedrock(answer=None, stop_reason="end_turn")).ask("block")


@pytest.mark.parametrize(
    "change",
    [
        {"urgency": "SOON"},
        {"category": "CHITCHAT"},
        {"sentiment": "ANGRY"},
        {"language": "en\nX-Injected: 1"},
        {"language": "en-"},
        {"language": "en-evil-corp-ceo"},
        {"language": "x" * 40},
        {"language": "en US"},
        {"language": ["en"]},
        {"summary": "\u200b\u202e \x1b[2J"},
        {"tags": ["\u200b"]},
        {"tags": "all"},
        {"confidence": float("nan")},
        {"summary": ""},
        {"response": "x" * 4001},
        {"tags": ["x"] * 9},
        {"confidence": 1.5},
        {"confidence": "high"},
        {"urgency": None},
    ],
)
def test_an_answer_that_violates_the_schema_is_invalid_and_not_quoted(change: dict[str, Any]) -> None:
    with pytest.raises(ModelOutputInvalid) as caught:
        model(FakeBedrock(ANSWER | change)).ask("block")

    (name, value), *_ = change.items()
    assert name in str(caught.value)
    assert str(value) not in str(caught.value).removeprefix(name) or value in (None, "")


@pytest.mark.parametrize("missing", list(analysis_schema.SCHEMA["required"]))
def test_an_answer_without_a_required_field_is_invalid(missing: str) -> None:
    with pytest.raises(ModelOutputInvalid):
        model(FakeBedrock({name: value for name, value in ANSWER.items() if name != missing})).ask("block")


@pytest.mark.parametrize(
    "tools",
    [("delete_ticket",), ("record_analysis", "delete_ticket"), ("record_analysis", "record_analysis")],
)
def test_only_a_single_call_of_our_tool_is_valid_and_no_other_name_is_quoted(tools: tuple[str, ...]) -> None:
    with pytest.raises(ModelOutputInvalid, match="expected one call of record_analysis") as caught:
        model(FakeBedrock(tools=tools)).ask("block")

    assert "delete_ticket" not in str(caught.value)


def test_an_answer_contains_only_the_fields_of_the_schema() -> None:
    forged = {"needsReview": False, "status": "COMPLETED", "ticketId": "forged", "model": {"id": "forged"}}

    assert model(FakeBedrock(ANSWER | forged)).ask("block").document == ANSWER


def test_an_answer_is_cleaned_before_it_is_validated() -> None:
    answer = {
        "summary": "One\u202e\nline",
        "response": "Dear\x00 customer,\n\tthank you.",
        "language": "PT-br",
    }

    document = model(FakeBedrock(ANSWER | answer)).ask("block").document

    assert document["summary"] == "One line"
    assert document["response"] == "Dear customer,\n\tthank you."
    assert document["language"] == "pt-BR"


@pytest.mark.parametrize("answer", [[], "text", None, 1])
def test_a_tool_input_that_is_not_an_object_is_invalid(answer: Any) -> None:
    bedrock = FakeBedrock([] if answer is None else answer)

    with pytest.raises(ModelOutputInvalid):
        model(bedrock).ask("block")


GUARDRAIL = Guardrail(id="abc123", version="1")


def test_a_guardrail_checks_only_the_ticket() -> None:
    bedrock = FakeBedrock()
    model(bedrock, guardrail=GUARDRAIL).ask("the ticket")

    assert bedrock.request["guardrailConfig"] == {"guardrailIdentifier": "abc123", "guardrailVersion": "1"}
    assert bedrock.request["messages"][0]["content"] == [{"guardContent": {"text": {"text": "the ticket"}}}]
    assert bedrock.request["system"] == [{"text": INSTRUCTIONS}]


def test_without_a_guardrail_the_request_has_no_guardrail_config() -> None:
    bedrock = FakeBedrock()
    model(bedrock).ask("the ticket")

    assert "guardrailConfig" not in bedrock.request


@pytest.mark.parametrize("guardrail", [NO_GUARDRAIL, GUARDRAIL])
def test_the_real_client_accepts_the_call(model_server: object, guardrail: Guardrail) -> None:
    block = "<ticket-0000000a>\nI was charged twice.\n</ticket-0000000a>"

    answer = model(clients.bedrock_runtime(), guardrail=guardrail).ask(block)

    assert answer.document["category"] == "BILLING"


def test_an_invalid_guardrail_version_is_rejected(model_server: object) -> None:
    with pytest.raises(ModelRejected, match="guardrailVersion"):
        model(clients.bedrock_runtime(), guardrail=Guardrail(id="abc123", version="newest")).ask("block")
