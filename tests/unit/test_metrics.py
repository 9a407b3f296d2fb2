"""The functions record every metric with its dimensions, and every dimension has a closed list of values."""

import importlib
import json
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from devtools import metric_series
from support.background import resume, sweep
from support.domain import metrics
from support.domain.metrics import Metric, language_value
from support.domain.ticket import timestamp
from support.domain.token_prices import TokenPrices
from tests.helpers.bedrock import Model
from tests.helpers.lambda_context import lambda_context
from tests.helpers.metrics import Values, recorded

PROJECT = Path(__file__).parents[2]
METRICS = [value for value in vars(metrics).values() if isinstance(value, Metric)]
Read = Callable[[], Values]


@pytest.fixture
def values(capsys: pytest.CaptureFixture[str]) -> Read:
    """The metrics that were recorded since the last call."""
    return lambda: recorded(capsys.readouterr().out)


def event(name: str) -> dict[str, Any]:
    return dict(json.loads((PROJECT / "events" / f"{name}.json").read_text()))


def run(name: str, **changes: Any) -> None:
    """Run a task with an event; an error of the task is only recorded."""
    task = importlib.import_module(f"support.tasks.{name.partition('/')[0]}")
    with suppress(Exception):
        task.handler(event(name) | changes, lambda_context())


@pytest.fixture
def stored(aws: None, model: Model, values: Read) -> None:
    """The ticket of the events is in the table."""
    run("store/billing")
    values()


# ---- Tickets


def test_a_new_ticket_is_received_once(aws: None, values: Read) -> None:
    run("store/billing")
    assert values() == {"TicketsReceived": [1], "TaskSucceeded Step=Store Ticket": [1]}

    run("store/billing", run="arn:another", execution="another")
    assert values() == {"TicketsDuplicated": [1], "TaskSucceeded Step=Store Ticket": [1]}


def test_a_processed_ticket_counts_by_urgency_category_and_language(stored: None, values: Read) -> None:
    run("update/analysis")

    found = values()
    assert found.pop("TimeToProcessed")[0] > 0
    analysis = event("update/analysis")["ticket"]["analysis"]
    assert found == {
        "TicketsProcessed": [1],
        f"TicketsProcessed Urgency={analysis['urgency']}": [1],
        f"TicketsProcessed Category={analysis['category']}": [1],
        "TicketsProcessed Language=en": [1],
        "NeedsReview": [int(analysis["needsReview"])],
        "TaskSucceeded Step=Update Ticket": [1],
    }


def test_a_repeated_update_does_not_count_again(stored: None, values: Read) -> None:
    run("update/analysis")
    values()

    run("update/analysis", execution="another")

    assert values() == {"TaskSucceeded Step=Update Ticket": [1]}


def test_a_notification_counts_with_the_time_since_the_ticket_was_received(
    stored: None, support_topic: None, values: Read
) -> None:
    run("update/analysis")
    values()

    run("notify/processed")

    found = values()
    assert found.pop("TimeToNotified")[0] > 0
    assert found == {"TicketsNotified": [1], "TaskSucceeded Step=Notify Support": [1]}


def test_failures_and_deferrals_are_counted(stored: None, values: Read) -> None:
    run("update/failure")
    assert values() == {"TicketsFailed": [1], "TaskSucceeded Step=Record Failure": [1]}

    run("update/deferral")
    assert values() == {"TicketsDeferred": [1], "TaskSucceeded Step=Record Deferral": [1]}


def test_a_failed_task_counts_by_step_and_by_error(aws: None, values: Read) -> None:
    run("store/missing-content")
    assert values() == {"TaskFailed Step=Store Ticket": [1], "TaskFailed Error=InvalidTicket": [1]}

    run("update/failure", failure="not an object")
    assert values() == {"TaskFailed Step=Record Failure": [1], "TaskFailed Error=Unexpected": [1]}


# ---- The model


def test_an_answer_counts_with_its_latency_tokens_and_price(stored: None, values: Read) -> None:
    run("classify/billing")

    found = values()
    (input_tokens,), (output_tokens,) = found["InputTokens"], found["OutputTokens"]
    assert found["ModelCost"] == [pytest.approx((input_tokens * 0.06 + output_tokens * 0.24) / 1e6)]
    assert (found["ModelCalls"], found["ModelErrors"], len(found["ModelLatency"])) == ([1], [0], 1)
    assert found["TaskSucceeded Step=Classify Ticket"] == [1]


def test_the_fallback_model_counts_as_a_step_of_its_own_with_its_own_prices(
    stored: None, values: Read
) -> None:
    run("classify/billing", model="fallback")

    found = values()
    (input_tokens,), (output_tokens,) = found["InputTokens"], found["OutputTokens"]
    assert found["ModelCost"] == [pytest.approx((input_tokens * 2 + output_tokens * 6) / 1e6)]
    assert (found["FallbackAnswers"], found["TaskSucceeded Step=Ask Fallback Model"]) == ([1], [1])


@pytest.mark.parametrize(
    ("fault", "error"),
    [("throttle", "ModelThrottled"), ("error", "ModelUnavailable"), ("deny", "ModelRejected")],
)
def test_a_call_without_an_answer_counts_with_its_error(
    stored: None, model: Model, values: Read, fault: str, error: str
) -> None:
    model.fail(next={fault: 1})

    run("classify/billing")

    assert values() == {
        "ModelCalls": [1],
        "ModelErrors": [int(fault != "throttle")],
        "TaskFailed Step=Classify Ticket": [1],
        f"TaskFailed Error={error}": [1],
    }


def test_the_tokens_of_an_invalid_answer_count(stored: None, model: Model, values: Read) -> None:
    model.fail(next={"malformed": 1})

    run("classify/billing")

    found = values()
    assert (found["ModelCalls"], found["ModelErrors"]) == ([1], [1])
    assert found["TaskFailed Error=ModelOutputInvalid"] == [1]
    assert found["InputTokens"][0] > 0
    assert found["ModelCost"][0] > 0


@pytest.mark.parametrize("text", ["", "1", "1,2,3", "a,b"])
def test_prices_are_two_numbers(text: str) -> None:
    with pytest.raises(ValueError, match=r"unpack|convert"):
        TokenPrices.parse(text)


# ---- The waiting room


@pytest.mark.parametrize(
    ("message", "replayed"),
    [
        ({"error": "ModelThrottled", "deferredAt": timestamp(datetime.now(UTC))}, False),
        ({"error": "Replay", "deferredAt": timestamp(datetime.now(UTC))}, True),
        ({"error": "ModelRejected", "failedAt": timestamp(datetime.now(UTC))}, True),
    ],
)
def test_resumed_tickets_are_counted_and_so_are_replays_among_them(
    step_functions: Any, values: Read, message: dict[str, str], replayed: bool
) -> None:
    body = json.dumps({"input": event("executions/billing"), "execution": "", **message})
    record = {"messageId": "7b2d1c4e", "body": body, "eventSource": "aws:sqs"}

    resume.handler({"Records": [record]}, lambda_context())

    assert values() == {"TicketsResumed": [1]} | ({"TicketsReplayed": [1]} if replayed else {})


def test_the_sweep_counts_every_outcome_also_when_there_is_nothing_to_do(aws: None, values: Read) -> None:
    sweep.handler({}, lambda_context())

    assert values() == {
        name: [0]
        for name in (
            "TicketsWaiting",
            "OldestTicketWaiting",
            "TicketsSwept",
            "TicketsSetAside",
            "SweepFaults",
            "SweepsUnavailable",
        )
    }


# ---- Dimensions and price


@pytest.mark.parametrize(
    ("tag", "expected"), [("en", "en"), ("pt-BR", "pt"), ("zh-Hans-CN", "zh"), ("tlh", "other")]
)
def test_a_language_outside_the_list_counts_as_other(tag: str, expected: str) -> None:
    assert language_value(tag) == expected


def test_every_dimension_has_a_closed_list_of_values() -> None:
    names = {name for metric in METRICS for name in metric.by if name}
    assert names == set(metric_series.DIMENSION_VALUES)


def test_the_steps_are_the_states_that_call_a_function() -> None:
    definition = yaml.safe_load((PROJECT / "statemachine" / "ticket_pipeline.asl.yaml").read_text())
    states = {
        name for name, state in definition["States"].items() if "lambda:invoke" in state.get("Resource", "")
    }
    assert states == set(metric_series.DIMENSION_VALUES["Step"])


def test_the_guide_lists_every_metric_and_the_price_of_all() -> None:
    guide = (PROJECT / "docs" / "metrics.md").read_text()
    rows = set(re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \|", guide, re.M))
    assert rows == {
        (metric.name, metric.unit, ", ".join(f"`{name}`" if name else "none" for name in metric.by))
        for metric in METRICS
    }
    count = metric_series.count(METRICS)
    assert f"{count} time series" in guide
    assert f"{metric_series.price(count):.2f} USD" in guide
