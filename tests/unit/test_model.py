"""How the model is asked, and what its answers are taken for."""

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.validate import ParamValidator

from support.aws import clients
from support.aws.model import MAX_TOKENS, Guardrail, TriageModel
from support.domain import analysis_schema
from support.domain.errors import ModelOutputInvalid, ModelRefused, ModelRejected
from support.domain.prompt import INSTRUCTIONS

UPDATE = json.loads((Path(__file__).parents[2] / "events" / "update" / "analysis.json").read_text())
ANSWER = {name: UPDATE["ticket"]["analysis"][name] for name in analysis_schema.SCHEMA["properties"]}
NO_GUARDRAIL = Guardrail(id="", version="")
OUR_TOOL = ("record_analysis",)


class FakeBedrock:
    """Answers every call with one answer, through one or more tools, and keeps the call."""

    def __init__(
        self, answer: Any = ANSWER, stop_reason: str = "tool_use", tools: tuple[str, ...] = OUR_TOOL
    ) -> None:
        self.asked: dict[str, Any] = {}
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
        self.asked = call
        return self._response


def model(
    bedrock: Any, model_id: str = "amazon.nova-lite-v1:0", guardrail: Guardrail = NO_GUARDRAIL
) -> TriageModel:
    return TriageModel(bedrock, model_id, guardrail)


def test_a_tool_call_is_the_answer() -> None:
    answer = model(FakeBedrock()).ask("block")

    assert answer.document == ANSWER
    assert not answer.stopped_early
    assert (answer.input_tokens, answer.output_tokens, answer.latency_ms) == (500, 120, 900)


def test_the_tool_is_forced_and_the_answer_bounded() -> None:
    bedrock = FakeBedrock()
    model(bedrock).ask("block")

    tools = bedrock.asked["toolConfig"]
    assert tools["toolChoice"] == {"tool": {"name": tools["tools"][0]["toolSpec"]["name"]}}
    assert tools["tools"][0]["toolSpec"]["inputSchema"]["json"] == analysis_schema.SCHEMA
    assert bedrock.asked["inferenceConfig"]["maxTokens"] == MAX_TOKENS


def test_the_ticket_stands_apart_from_the_instructions() -> None:
    bedrock = FakeBedrock()
    model(bedrock).ask("the ticket")

    assert bedrock.asked["system"] == [{"text": INSTRUCTIONS}]
    assert bedrock.asked["messages"] == [{"role": "user", "content": [{"text": "the ticket"}]}]


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
    # It does not say which model it stands for.
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123": "",
}


@pytest.mark.parametrize("model_id", MODELS)
def test_each_family_is_sent_what_it_takes(model_id: str) -> None:
    bedrock = FakeBedrock()
    model(bedrock, model_id).ask("block")

    sent = dict(bedrock.asked)
    tools = sent.pop("toolConfig")
    depends = {
        name: sent[name] for name in ("inferenceConfig", "additionalModelRequestFields") if name in sent
    }
    chosen = {"toolChoice": tools["toolChoice"]} if "toolChoice" in tools else {}
    assert depends | chosen == SHAPES[MODELS[model_id]]
    assert sent["modelId"] == model_id


@pytest.mark.parametrize("guardrail", [NO_GUARDRAIL, Guardrail(id="abc123", version="1")])
@pytest.mark.parametrize("model_id", MODELS)
def test_every_request_has_the_form_that_botocore_knows(model_id: str, guardrail: Guardrail) -> None:
    bedrock = FakeBedrock()
    model(bedrock, model_id, guardrail).ask("block")

    shape = clients.bedrock_runtime().meta.service_model.operation_model("Converse").input_shape
    assert shape is not None
    assert not ParamValidator().validate(bedrock.asked, shape).has_errors()


@pytest.mark.parametrize("model_id", [one for one in MODELS if not one.startswith("arn:")])
def test_every_family_answers_by_the_tool(model_server: str, model_id: str) -> None:
    answer = model(clients.bedrock_runtime(), model_id).ask("<ticket-1>\nI was charged twice.\n</ticket-1>")

    assert answer.document["category"] == "BILLING"


@pytest.mark.parametrize("reason", ["end_turn", "stop_sequence", "something_new"])
def test_a_valid_answer_that_ended_otherwise_is_taken_but_marked(reason: str) -> None:
    assert model(FakeBedrock(stop_reason=reason)).ask("block").stopped_early


@pytest.mark.parametrize(
    "reason", ["max_tokens", "malformed_tool_use", "malformed_model_output", "model_context_window_exceeded"]
)
def test_an_answer_that_is_cut_off_or_malformed_is_none(reason: str) -> None:
    with pytest.raises(ModelOutputInvalid, match=reason):
        model(FakeBedrock(stop_reason=reason)).ask("block")


@pytest.mark.parametrize("reason", ["content_filtered", "guardrail_intervened"])
def test_a_refusal_is_told_apart_from_a_bad_answer(reason: str) -> None:
    with pytest.raises(ModelRefused, match=reason):
        model(FakeBedrock(stop_reason=reason)).ask("block")


def test_words_instead_of_a_tool_call_are_no_answer() -> None:
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
def test_an_answer_outside_the_schema_is_refused_without_being_quoted(change: dict[str, Any]) -> None:
    with pytest.raises(ModelOutputInvalid) as refused:
        model(FakeBedrock(ANSWER | change)).ask("block")

    (name, value), *_ = change.items()
    assert name in str(refused.value)
    assert str(value) not in str(refused.value).removeprefix(name) or value in (None, "")


@pytest.mark.parametrize("missing", list(analysis_schema.SCHEMA["required"]))
def test_an_answer_that_lacks_a_field_is_refused(missing: str) -> None:
    with pytest.raises(ModelOutputInvalid):
        model(FakeBedrock({name: value for name, value in ANSWER.items() if name != missing})).ask("block")


@pytest.mark.parametrize(
    "tools",
    [("delete_ticket",), ("record_analysis", "delete_ticket"), ("record_analysis", "record_analysis")],
)
def test_only_one_call_of_our_tool_is_an_answer_and_no_other_name_is_quoted(tools: tuple[str, ...]) -> None:
    with pytest.raises(ModelOutputInvalid, match="expected one call of record_analysis") as refused:
        model(FakeBedrock(tools=tools)).ask("block")

    assert "delete_ticket" not in str(refused.value)


def test_an_answer_holds_only_the_fields_of_the_schema() -> None:
    forged = {"needsReview": False, "status": "COMPLETED", "ticketId": "forged", "model": {"id": "forged"}}

    assert model(FakeBedrock(ANSWER | forged)).ask("block").document == ANSWER


def test_an_answer_is_cleaned_before_it_is_judged() -> None:
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
def test_an_input_that_is_no_object_is_no_answer(answer: Any) -> None:
    bedrock = FakeBedrock([] if answer is None else answer)

    with pytest.raises(ModelOutputInvalid):
        model(bedrock).ask("block")


GUARDRAIL = Guardrail(id="abc123", version="1")


def test_with_a_guardrail_the_ticket_is_what_it_judges() -> None:
    bedrock = FakeBedrock()
    model(bedrock, guardrail=GUARDRAIL).ask("the ticket")

    assert bedrock.asked["guardrailConfig"] == {"guardrailIdentifier": "abc123", "guardrailVersion": "1"}
    assert bedrock.asked["messages"][0]["content"] == [{"guardContent": {"text": {"text": "the ticket"}}}]
    assert bedrock.asked["system"] == [{"text": INSTRUCTIONS}]


def test_without_a_guardrail_none_is_named() -> None:
    bedrock = FakeBedrock()
    model(bedrock).ask("the ticket")

    assert "guardrailConfig" not in bedrock.asked


@pytest.mark.parametrize("guardrail", [NO_GUARDRAIL, GUARDRAIL])
def test_bedrocks_client_takes_the_call_as_it_is(model_server: str, guardrail: Guardrail) -> None:
    block = "<ticket-0000000a>\nI was charged twice.\n</ticket-0000000a>"

    answer = model(clients.bedrock_runtime(), guardrail=guardrail).ask(block)

    assert answer.document["category"] == "BILLING"


def test_bedrock_refuses_a_guardrail_that_cannot_be(model_server: str) -> None:
    with pytest.raises(ModelRejected, match="guardrailVersion"):
        model(clients.bedrock_runtime(), guardrail=Guardrail(id="abc123", version="newest")).ask("block")
