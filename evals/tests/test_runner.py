"""The runner repeats nothing, retries as the pipeline does, and never exceeds the cap."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from evals.budget import Budget, CapReached
from evals.cache import Answer, AnswerCache
from evals.errors import ModelUnusable
from evals.example import Example
from evals.models import Model
from evals.options import DEFAULT_THRESHOLD
from evals.runner import CALLS_FOR_A_VALID_ANSWER, Outcome, Runner
from evals.tests.conftest import document, example
from support.aws.model import AnalysisTool
from support.domain.analysis_schema import CATEGORIES, SCHEMA
from support.domain.token_prices import TokenPrices

PROJECT = Path(__file__).parents[2]


class Bedrock:
    """Answers each call with the next of these, the last one for ever: an answer, or an error's code."""

    def __init__(self, *answers: dict[str, Any] | str) -> None:
        self.answers = [*answers]
        self.calls = 0

    def converse(self, **_: Any) -> dict[str, Any]:
        self.calls += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, str):
            raise ClientError({"Error": {"Code": answer, "Message": "no"}}, "Converse")
        call = {"toolUse": {"toolUseId": "1", "name": "record_analysis", "input": answer}}
        return {
            "output": {"message": {"role": "assistant", "content": [call]}},
            "stopReason": "tool_use",
            "usage": {"inputTokens": 1_000, "outputTokens": 200, "totalTokens": 1_200},
            "metrics": {"latencyMs": 5},
        }


def model(bedrock: Bedrock) -> Model:
    return Model(
        name="m",
        key="m",
        model_id="amazon.nova-lite-v1:0",
        client=bedrock,  # type: ignore[arg-type]
        prices=TokenPrices(1, 1),
        tool=AnalysisTool(SCHEMA),
    )


def run(folder: Path, bedrock: Bedrock, examples: Sequence[Example], budget: Budget | None = None) -> Outcome:
    asked = model(bedrock)
    cache = AnswerCache(folder, asked.key, asked.prompt_version)
    runner = Runner(asked, cache, budget or Budget(1), concurrency=2, report=lambda _: None)
    return runner.run(examples)


EXAMPLES = [example(f"t-{number}", content=f"I was charged {number} times.") for number in range(8)]


def test_a_second_run_asks_nothing(tmp_path: Path) -> None:
    first, second = Bedrock(document()), Bedrock(document())

    answers = run(tmp_path, first, EXAMPLES).answers

    assert run(tmp_path, second, EXAMPLES).answers == answers
    assert (first.calls, second.calls) == (8, 0)


def test_another_prompt_another_model_or_another_text_is_asked_again(tmp_path: Path) -> None:
    AnswerCache(tmp_path, "m", "1").put(EXAMPLES[0], Answer())

    assert AnswerCache(tmp_path, "m", "1").get(EXAMPLES[0]) == Answer()
    assert AnswerCache(tmp_path, "m", "2").get(EXAMPLES[0]) is None
    assert AnswerCache(tmp_path, "n", "1").get(EXAMPLES[0]) is None
    assert AnswerCache(tmp_path, "m", "1").get(EXAMPLES[1]) is None


def test_an_invalid_answer_is_asked_for_as_often_as_in_the_state_machine(tmp_path: Path) -> None:
    definition = yaml.safe_load((PROJECT / "statemachine" / "ticket_pipeline.asl.yaml").read_text())
    (retry,) = [
        retry
        for retry in definition["States"]["Classify Ticket"]["Retry"]
        if "ModelOutputInvalid" in retry["ErrorEquals"]
    ]
    bedrock = Bedrock({"urgency": "NEVER"})

    (answer,) = run(tmp_path, bedrock, EXAMPLES[:1]).answers.values()

    assert bedrock.calls == CALLS_FOR_A_VALID_ANSWER == retry["MaxAttempts"] + 1
    assert (answer.outcome, answer.calls, answer.input_tokens) == ("ModelOutputInvalid", 3, 3_000)
    assert run(tmp_path, bedrock, EXAMPLES[:1]).answers == {"t-0": answer}
    assert bedrock.calls == CALLS_FOR_A_VALID_ANSWER


def test_a_later_valid_answer_counts_with_its_calls(tmp_path: Path) -> None:
    (answer,) = run(tmp_path, Bedrock({}, document()), EXAMPLES[:1]).answers.values()

    assert (answer.outcome, answer.calls) == ("answered", 2)


def test_a_throttled_call_is_repeated_and_does_not_count(tmp_path: Path) -> None:
    bedrock = Bedrock("ThrottlingException", document())

    (answer,) = run(tmp_path, bedrock, EXAMPLES[:1]).answers.values()

    assert (bedrock.calls, answer.calls) == (2, 1)


def test_the_cap_is_never_exceeded_and_the_next_run_continues(tmp_path: Path) -> None:
    asked = model(Bedrock(document()))
    worst_case = asked.worst_case("<ticket>") * 1.5
    budget = Budget(worst_case + 2 * 1_200 / 1_000_000)

    outcome = run(tmp_path, Bedrock(document()), EXAMPLES, budget)

    assert budget.spent <= budget.max_usd
    assert 0 < len(outcome.answers) < len(EXAMPLES)
    assert outcome.unanswered == {"spending cap": len(EXAMPLES) - len(outcome.answers)}
    rest = Bedrock(document())
    assert not run(tmp_path, rest, EXAMPLES).unanswered
    assert rest.calls == len(EXAMPLES) - len(outcome.answers)


def test_a_cap_of_nothing_asks_nothing(tmp_path: Path) -> None:
    bedrock = Bedrock(document())

    assert run(tmp_path, bedrock, EXAMPLES, Budget(0)).unanswered == {"spending cap": 8}
    assert bedrock.calls == 0


def test_a_budget_counts_reservations_until_they_are_settled() -> None:
    budget = Budget(1)
    budget.reserve(0.6)
    with pytest.raises(CapReached):
        budget.reserve(0.6)

    budget.settle(0.6, 0.1)
    budget.reserve(0.6)
    assert budget.spent == 0.1


def test_a_rejected_first_call_stops_the_run(tmp_path: Path) -> None:
    bedrock = Bedrock("AccessDeniedException")

    with pytest.raises(ModelUnusable, match="m rejects the call: Converse: AccessDeniedException"):
        run(tmp_path, bedrock, EXAMPLES)
    assert bedrock.calls == 1


def test_a_later_rejected_call_leaves_its_ticket_without_an_answer(tmp_path: Path) -> None:
    bedrock = Bedrock(document(), "ValidationException", document())

    outcome = run(tmp_path, bedrock, EXAMPLES)

    assert outcome.unanswered == {"ModelRejected": 1}
    assert len(outcome.answers) == 7


def test_the_estimate_leaves_out_what_is_cached(tmp_path: Path) -> None:
    run(tmp_path, Bedrock(document()), EXAMPLES[:2])
    asked = model(Bedrock(document()))
    cache = AnswerCache(tmp_path, asked.key, asked.prompt_version)
    runner = Runner(asked, cache, Budget(1), concurrency=1, report=lambda _: None)

    assert str(runner.estimate(EXAMPLES)).startswith("8 tickets, 2 of them in the cache; 6 to ask: about ")
    assert str(runner.estimate(EXAMPLES[:2])) == "2 tickets, all answered in the cache."


def test_the_default_threshold_is_the_templates() -> None:
    template = (PROJECT / "template.yaml").read_text()

    assert f"\n  ReviewThreshold:\n    Type: Number\n    Default: {DEFAULT_THRESHOLD}\n" in template


def test_foreign_categories_are_the_models_only_choice() -> None:
    assert [*CATEGORIES] == model(Bedrock("")).tool_schema["properties"]["category"]["enum"]
