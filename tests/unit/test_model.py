"""How the model is asked, and what its answers are taken for."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.aws.model import MAX_TOKENS, TriageModel
from support.domain import analysis, prompt
from support.domain.errors import ModelOutputInvalid, ModelRefused

UPDATE = json.loads((Path(__file__).parents[2] / "events" / "update" / "analysis.json").read_text())
ANSWER = {name: UPDATE["ticket"]["analysis"][name] for name in analysis.SCHEMA["properties"]}


class FakeBedrock:
    """Answers every call with one answer, and keeps the call."""

    def __init__(self, answer: Any = ANSWER, stop_reason: str = "tool_use") -> None:
        self.asked: dict[str, Any] = {}
        content: list[dict[str, Any]] = [{"text": "thinking"}]
        if answer is not None:
            content.append({"toolUse": {"toolUseId": "t", "name": "record_analysis", "input": answer}})
        self._response = {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": stop_reason,
            "usage": {"inputTokens": 500, "outputTokens": 120, "totalTokens": 620},
            "metrics": {"latencyMs": 900},
        }

    def converse(self, **call: Any) -> dict[str, Any]:
        self.asked = call
        return self._response


def model(bedrock: FakeBedrock, model_id: str = "amazon.nova-lite-v1:0") -> TriageModel:
    return TriageModel(bedrock, model_id)  # type: ignore[arg-type]


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
    assert tools["tools"][0]["toolSpec"]["inputSchema"]["json"] == analysis.SCHEMA
    assert bedrock.asked["inferenceConfig"]["maxTokens"] == MAX_TOKENS


def test_the_ticket_stands_apart_from_the_instructions() -> None:
    bedrock = FakeBedrock()
    model(bedrock).ask("the ticket")

    assert bedrock.asked["system"] == [{"text": prompt.INSTRUCTIONS}]
    assert bedrock.asked["messages"] == [{"role": "user", "content": [{"text": "the ticket"}]}]


@pytest.mark.parametrize(
    ("model_id", "fields"),
    [
        ("amazon.nova-lite-v1:0", {"inferenceConfig": {"topK": 1}}),
        ("us.amazon.nova-lite-v1:0", {"inferenceConfig": {"topK": 1}}),
        ("anthropic.claude-haiku", {}),
    ],
)
def test_nova_decodes_greedily_and_other_families_are_left_alone(
    model_id: str, fields: dict[str, Any]
) -> None:
    bedrock = FakeBedrock()
    model(bedrock, model_id).ask("block")

    assert bedrock.asked["additionalModelRequestFields"] == fields


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
    with pytest.raises(ModelOutputInvalid, match="did not call the tool"):
        model(FakeBedrock(answer=None, stop_reason="end_turn")).ask("block")


@pytest.mark.parametrize(
    "change",
    [
        {"urgency": "SOON"},
        {"category": "CHITCHAT"},
        {"sentiment": "ANGRY"},
        {"language": "en\nX-Injected: 1"},
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


@pytest.mark.parametrize("missing", list(analysis.SCHEMA["required"]))
def test_an_answer_that_lacks_a_field_is_refused(missing: str) -> None:
    with pytest.raises(ModelOutputInvalid):
        model(FakeBedrock({name: value for name, value in ANSWER.items() if name != missing})).ask("block")
