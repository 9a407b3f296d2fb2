"""The behaviour of the state machine, with the real definition and the real handlers."""

import copy
import importlib
import io
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from support.aws import clients
from support.aws.table import TicketTable
from support.domain.execution import Execution
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Status
from support.domain.waiting import WaitingTicket
from support.tasks import classify
from tests.helpers.aws_clients import aws_client
from tests.helpers.bedrock import Model
from tests.helpers.parameter_store import ParameterStore
from tests.statemachine.conftest import Pipeline

EXECUTIONS = Path(__file__).parents[2] / "events" / "executions"
HAPPY_PATH = [
    "Store Ticket",
    "Already Processed?",
    "Classify Ticket",
    "Update Ticket",
    "Notify Support",
]
Inbox = Callable[[], list[dict[str, Any]]]


def submission(case: str = "billing") -> dict[str, Any]:
    return dict(json.loads((EXECUTIONS / f"{case}.json").read_text()))


def stored(ticket_id: str) -> dict[str, Any] | None:
    ticket = TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"]).get(ticket_id)
    return ticket.to_document() if ticket else None


def require_stored(ticket_id: str) -> dict[str, Any]:
    ticket = stored(ticket_id)
    assert ticket is not None
    return ticket


def test_a_ticket_is_stored_classified_updated_and_notified(pipeline: Pipeline, inbox: Inbox) -> None:
    execution = pipeline.run(submission())

    ticket = require_stored(submission()["ticketId"])
    (notification,) = inbox()
    assert (execution.status, execution.states) == ("SUCCEEDED", HAPPY_PATH)
    assert ticket["status"] == "PROCESSED"
    assert ticket["analysis"]["category"] == "BILLING"
    assert ticket["notifiedAt"]
    assert "pendingSince" not in ticket
    assert json.loads(notification["Body"])["ticketId"] == ticket["ticketId"]
    assert notification["MessageAttributes"]["category"]["StringValue"] == "BILLING"
    assert pipeline.failure_messages() == []


def test_a_repeated_execution_does_not_classify_or_notify_again(
    pipeline: Pipeline, inbox: Inbox, model: Model
) -> None:
    pipeline.run(submission())
    repeated = pipeline.run(submission())

    assert repeated.states == ["Store Ticket", "Already Processed?", "Duplicate Ignored"]
    assert repeated.status == "SUCCEEDED"
    assert model.calls()["total"] == 1
    assert len(inbox()) == 1


def test_a_crash_between_the_notification_and_its_mark_sends_a_duplicate(
    pipeline: Pipeline, inbox: Inbox, aws_faults: Any
) -> None:
    pipeline.functions.fail("notify", "", "Runtime.ExitError")
    aws_faults.fail("dynamodb.UpdateItem", 500, "InternalServerError", writing="notifiedAt = if_not_exists")
    pipeline.run(submission())  # published, not marked
    aws_faults.heal()
    assert inbox()

    pipeline.run(submission())
    pipeline.run(submission())

    assert len(inbox()) == 1, "the second execution could not know; the third one does"


def test_a_crash_after_the_mark_does_not_notify_again(pipeline: Pipeline, inbox: Inbox) -> None:
    pipeline.functions.fail("notify", "+Runtime.ExitError")

    execution = pipeline.run(submission())

    assert (execution.status, pipeline.functions.invoked.count("notify")) == ("SUCCEEDED", 2)
    assert len(inbox()) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("deny", "ModelRejected"),
        ("malformed", "ModelOutputInvalid"),
        ("truncated", "ModelOutputInvalid"),
    ],
)
def test_a_ticket_that_the_model_cannot_classify_fails(
    pipeline: Pipeline, model: Model, inbox: Inbox, fault: str, error: str
) -> None:
    model.fail(**{fault: 1.0})

    execution = pipeline.run(submission())

    ticket = require_stored(submission()["ticketId"])
    (message,) = pipeline.failure_messages()
    assert (execution.status, execution.error) == ("FAILED", "TicketFailed")
    assert (ticket["status"], ticket["failure"]["error"]) == ("FAILED", error)
    assert "analysis" not in ticket
    assert "pendingSince" not in ticket
    assert (message["input"], message["error"]) == (submission(), error)
    assert inbox() == []


@pytest.fixture
def cold_classify(aws: None) -> Iterator[None]:
    """Classify in a new execution environment, without cached parameters."""
    importlib.reload(classify)
    yield
    importlib.reload(classify)


def test_an_invalid_threshold_fails_the_ticket_without_a_model_call(
    pipeline: Pipeline, model: Model, parameters: ParameterStore, cold_classify: None
) -> None:
    name = os.environ["REVIEW_THRESHOLD_PARAMETER"]
    parameters.values[name] = "high"

    pipeline.run(submission())

    (message,) = pipeline.failure_messages()
    assert (message["error"], name in message["cause"]) == ("ConfigurationInvalid", True)
    assert (pipeline.waits, model.calls()["total"]) == ([], 0)


def test_a_ticket_waits_while_the_threshold_cannot_be_read(
    pipeline: Pipeline, parameters: ParameterStore, cold_classify: None
) -> None:
    parameters.failure = (500, "InternalServerError")

    execution = pipeline.run(submission())

    (message,) = pipeline.deferred()
    assert (execution.status, message["error"]) == ("SUCCEEDED", "ConfigurationUnavailable")
    assert len(pipeline.waits) == 3


DEFERRED = ["Record Deferral", "Has Priority?", "Defer Ticket", "Ticket Deferred"]
DEFERRED_BY_CLASSIFY = [*HAPPY_PATH[:3], "Has Fallback Model?", *DEFERRED]


@pytest.mark.parametrize(("fault", "error"), [("throttle", "ModelThrottled"), ("error", "ModelUnavailable")])
def test_a_ticket_waits_while_the_model_is_throttled_or_unavailable(
    pipeline: Pipeline, model: Model, inbox: Inbox, fault: str, error: str
) -> None:
    model.fail(**{fault: 1.0})

    execution = pipeline.run(submission())

    ticket = require_stored(submission()["ticketId"])
    (message,) = pipeline.deferred()
    assert (execution.status, execution.states) == ("SUCCEEDED", DEFERRED_BY_CLASSIFY)
    assert execution.output["failure"]["Error"] == error
    assert (ticket["status"], ticket["waitingFor"]) == ("RECEIVED", error)
    assert ticket["waitingSince"]
    assert ticket["pendingSince"], "its processing is not finished"
    assert "leasedBy" not in ticket
    assert (message["input"], message["error"]) == (submission(), error)
    assert (pipeline.failure_messages(), inbox()) == ([], [])


ASKED_TWICE = [*HAPPY_PATH[:3], "Has Fallback Model?", "Ask Fallback Model"]


@pytest.mark.parametrize("fault", ["throttle", "error"])
def test_the_fallback_model_answers_when_the_first_model_is_throttled_or_unavailable(
    fallback_pipeline: Any, model: Model, inbox: Inbox, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model.fail(next={fault: 3})

    execution = fallback_pipeline.run(submission())

    ticket = require_stored(submission()["ticketId"])
    assert (execution.status, execution.states) == ("SUCCEEDED", [*ASKED_TWICE, *HAPPY_PATH[3:]])
    assert (ticket["status"], len(inbox())) == ("PROCESSED", 1)
    assert ticket["analysis"]["model"]["id"] == os.environ["FALLBACK_MODEL_ID"] != os.environ["MODEL_ID"]
    # Resume reads this field of the output: nothing was deferred.
    assert "failure" not in execution.output
    assert (fallback_pipeline.deferred(), fallback_pipeline.failure_messages()) == ([], [])
    assert metric_values("FallbackAnswers", capsys) == [1]


def metric_values(metric: str, capsys: pytest.CaptureFixture[str]) -> list[float]:
    """The values of a metric that the functions wrote since the last call."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [value for line in lines for value in line.get(metric, [])]


def test_the_fallback_model_is_not_called_while_the_first_model_answers(
    fallback_pipeline: Any, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    execution = fallback_pipeline.run(submission())

    assert execution.states == HAPPY_PATH
    assert require_stored(submission()["ticketId"])["analysis"]["model"]["id"] == os.environ["MODEL_ID"]
    assert metric_values("FallbackAnswers", capsys) == []


@pytest.mark.parametrize(
    ("first", "second", "calls_of_second"),
    [
        ("throttle", {"throttle": 5}, 1),
        ("error", {"throttle": 5}, 1),
        ("throttle", {"error": 5}, 2),
        ("throttle", {"malformed": 5}, 2),
        ("throttle", {"deny": 5}, 1),
    ],
)
def test_a_ticket_waits_once_for_the_first_model_when_the_fallback_model_fails_too(
    fallback_pipeline: Any, model: Model, first: str, second: dict[str, int], calls_of_second: int
) -> None:
    model.fail(next={first: 3 + second.pop(first, 0), **second})

    execution = fallback_pipeline.run(submission())

    ticket = require_stored(submission()["ticketId"])
    (message,) = fallback_pipeline.deferred()
    error = {"throttle": "ModelThrottled", "error": "ModelUnavailable"}[first]
    assert (execution.status, execution.states) == ("SUCCEEDED", [*ASKED_TWICE, *DEFERRED])
    assert (message["error"], message["input"]) == (error, submission())
    assert execution.output["failure"]["Error"] == error
    assert (ticket["status"], ticket["waitingFor"]) == ("RECEIVED", error)
    assert "analysis" not in ticket
    assert model.calls()["total"] == 3 + calls_of_second
    assert fallback_pipeline.failure_messages() == []


def test_a_rejected_fallback_model_is_counted_and_logged(
    fallback_pipeline: Any, model: Model, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    model.fail(next={"throttle": 3, "deny": 1})

    fallback_pipeline.run(submission())

    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    (rejected,) = [line for line in lines if line.get("error") == "ModelRejected"]
    assert (rejected["message"], rejected["model"]) == ("task failed", "fallback")
    assert metric_values("FallbackRejected", capsys) == [1]


@pytest.mark.parametrize("error", ["KeyError", "Runtime.ExitError", "Lambda.TooManyRequestsException"])
def test_a_fault_during_the_call_of_the_fallback_model_does_not_fail_the_ticket(
    fallback_pipeline: Any, model: Model, error: str
) -> None:
    model.fail(throttle=1.0)
    fallback_pipeline.functions.fail("classify", "", "", "", error, error)

    execution = fallback_pipeline.run(submission())

    (message,) = fallback_pipeline.deferred()
    assert (execution.status, execution.states) == ("SUCCEEDED", [*ASKED_TWICE, *DEFERRED])
    assert message["error"] == "ModelThrottled"


@pytest.mark.parametrize("function", ["store", "classify", "update", "notify"])
@pytest.mark.parametrize(
    "error", ["Lambda.TooManyRequestsException", "Lambda.Unknown", "Sandbox.Timedout", "Runtime.ExitError"]
)
def test_a_ticket_waits_when_lambda_cannot_run_any_of_the_tasks(
    pipeline: Pipeline, function: str, error: str
) -> None:
    pipeline.functions.fail(function, *[error] * 4)

    execution = pipeline.run(submission())

    (message,) = pipeline.deferred()
    assert (execution.status, execution.states[-1]) == ("SUCCEEDED", "Ticket Deferred")
    assert (message["input"], message["error"]) == (submission(), error)
    assert pipeline.failure_messages() == []


def resumed(message: dict[str, Any]) -> dict[str, Any]:
    """The input with which Resume restarts a deferred ticket."""
    return WaitingTicket.from_message(json.dumps(message), datetime.now(UTC)).to_input()


@pytest.mark.parametrize("deferred_by", ["classify", "store"])
def test_a_ticket_with_priority_waits_in_the_priority_queue_even_before_it_is_stored(
    pipeline: Pipeline, inbox: Inbox, deferred_by: str
) -> None:
    pipeline.functions.fail(deferred_by, *["Sandbox.Timedout"] * 3)

    execution = pipeline.run(submission("with-priority"))

    (message,) = pipeline.deferred_with_priority()
    assert execution.states[-4:] == [
        "Record Deferral",
        "Has Priority?",
        "Defer Priority Ticket",
        "Ticket Deferred",
    ]
    assert (message["input"], pipeline.deferred()) == (submission("with-priority"), [])
    pipeline.run(resumed(message))
    assert require_stored(submission("with-priority")["ticketId"])["priority"] == "high"
    assert len(inbox()) == 1


@pytest.mark.parametrize("priority", ["HIGH", "", None, 1, {"high": "high"}])
def test_a_ticket_with_an_invalid_priority_waits_in_the_normal_queue(
    pipeline: Pipeline, priority: object
) -> None:
    pipeline.functions.fail("store", *["Sandbox.Timedout"] * 3)
    odd = submission()
    odd["request"]["priority"] = priority

    execution = pipeline.run(odd)

    assert (execution.status, execution.states[-4:]) == ("SUCCEEDED", DEFERRED)
    assert len(pipeline.deferred()) == 1


def test_an_input_without_a_request_waits_in_the_normal_queue(pipeline: Pipeline) -> None:
    pipeline.functions.fail("store", *["Sandbox.Timedout"] * 3)
    odd = {name: value for name, value in submission().items() if name != "request"}

    assert pipeline.run(odd).states[-4:] == DEFERRED


def test_a_ticket_with_priority_that_cannot_be_deferred_fails(pipeline: Pipeline, model: Model) -> None:
    model.fail(throttle=1.0)
    aws_client("sqs").delete_queue(QueueUrl=pipeline._priority_waiting_room_url)

    execution = pipeline.run(submission("with-priority"))

    (message,) = pipeline.failure_messages()
    assert (execution.status, message["error"]) == ("FAILED", "ModelThrottled")


def test_a_deferred_ticket_is_processed_when_it_is_resumed(
    pipeline: Pipeline, model: Model, inbox: Inbox
) -> None:
    model.fail(throttle=1.0)
    pipeline.run(submission())
    model.fail()
    (message,) = pipeline.deferred()

    execution = pipeline.run(resumed(message))

    ticket = require_stored(submission()["ticketId"])
    assert (execution.status, execution.states) == ("SUCCEEDED", HAPPY_PATH)
    assert (ticket["status"], ticket["attempts"], len(inbox())) == ("PROCESSED", 2, 1)
    assert not ticket.keys() & {"waitingSince", "waitingFor", "leasedBy", "leasedUntil", "pendingSince"}


def test_a_ticket_that_is_deferred_again_keeps_its_waiting_time(pipeline: Pipeline, model: Model) -> None:
    model.fail(throttle=1.0)
    pipeline.run(submission())
    (first,) = pipeline.deferred()
    pipeline.run(resumed(first))
    (second,) = pipeline.deferred()

    deferred_at = timestamp(datetime.fromisoformat(first["deferredAt"]))
    assert second["input"]["waiting"]["since"] == deferred_at < second["deferredAt"]
    assert require_stored(submission()["ticketId"])["waitingSince"] == deferred_at


def test_a_ticket_whose_deferral_cannot_be_recorded_is_still_resumed(
    pipeline: Pipeline, model: Model, aws_faults: Any, inbox: Inbox
) -> None:
    model.fail(throttle=1.0)
    aws_faults.fail("dynamodb.UpdateItem", 500, "InternalServerError", writing="waitingFor = :error")
    execution = pipeline.run(submission())
    aws_faults.heal()
    model.fail()
    assert execution.states[-4:] == DEFERRED
    assert require_stored(submission()["ticketId"])["leasedBy"], "the lease could not be ended"
    (message,) = pipeline.deferred()

    pipeline.run(resumed(message))

    assert require_stored(submission()["ticketId"])["status"] == "PROCESSED"
    assert len(inbox()) == 1


def test_a_ticket_that_cannot_be_deferred_fails(pipeline: Pipeline, model: Model) -> None:
    model.fail(throttle=1.0)
    aws_client("sqs").delete_queue(QueueUrl=pipeline._waiting_room_url)

    execution = pipeline.run(submission())

    (message,) = pipeline.failure_messages()
    ticket = require_stored(submission()["ticketId"])
    assert execution.states[-4:] == ["Defer Ticket", "Record Failure", "Publish Failure", "Ticket Failed"]
    assert (message["error"], ticket["status"]) == ("ModelThrottled", "FAILED")
    assert "waitingSince" not in ticket


def test_a_message_that_is_delivered_twice_is_processed_once(
    pipeline: Pipeline, model: Model, inbox: Inbox
) -> None:
    model.fail(throttle=1.0)
    pipeline.run(submission())
    model.fail()
    (message,) = pipeline.deferred()

    pipeline.run(resumed(message))
    again = pipeline.run(resumed(message))

    assert again.states[-1] == "Duplicate Ignored"
    assert len(inbox()) == 1


def test_an_execution_ends_as_a_duplicate_while_another_is_processing_the_ticket(
    pipeline: Pipeline, model: Model, inbox: Inbox
) -> None:
    table = TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])
    ticket = Ticket.from_submission(submission(), now=datetime.now(UTC), retention_days=0)
    owner = Execution(name="owner", arn="arn:owner", entered_at="2026-01-01T12:00:00.000Z")
    assert table.claim(ticket, owner, datetime.now(UTC))[1]

    execution = pipeline.run(submission())

    assert execution.states == ["Store Ticket", "Already Processed?", "Duplicate Ignored"]
    assert (model.calls()["total"], inbox(), pipeline.failure_messages()) == (0, [], [])


@pytest.mark.parametrize(
    ("fault", "longest_waits"),
    [
        ("throttle", [2, 4]),
        ("error", [1, 2]),
        ("malformed", [1, 1]),
        ("deny", []),
    ],
)
def test_each_error_has_its_own_retries_and_permanent_errors_have_none(
    pipeline: Pipeline, model: Model, fault: str, longest_waits: list[float]
) -> None:
    model.fail(**{fault: 1.0})

    pipeline.run(submission())

    assert model.calls()[fault] == len(longest_waits) + 1
    assert len(pipeline.waits) == len(longest_waits)
    assert all(wait <= longest for wait, longest in zip(pipeline.waits, longest_waits, strict=True))


def test_a_retry_that_succeeds_leaves_no_trace(pipeline: Pipeline, model: Model, inbox: Inbox) -> None:
    model.fail(next={"throttle": 2, "malformed": 1})

    execution = pipeline.run(submission())

    assert (execution.status, execution.states) == ("SUCCEEDED", HAPPY_PATH)
    assert len(pipeline.waits) == 3
    assert "failure" not in require_stored(submission()["ticketId"])
    assert len(inbox()) == 1


@pytest.mark.parametrize("function", ["store", "classify", "update", "notify"])
@pytest.mark.parametrize(
    ("error", "waits"),
    [("Lambda.TooManyRequestsException", 3), ("Sandbox.Timedout", 2), ("Runtime.ExitError", 2)],
)
def test_errors_of_lambda_are_retried_in_every_task(
    pipeline: Pipeline, inbox: Inbox, function: str, error: str, waits: int
) -> None:
    pipeline.functions.fail(function, *[error] * waits)

    execution = pipeline.run(submission())

    assert execution.status == "SUCCEEDED"
    assert len(pipeline.waits) == waits
    assert len(inbox()) == 1


@pytest.mark.parametrize("function", ["store", "classify", "update", "notify"])
def test_an_unexpected_error_fails_the_ticket_at_once_and_keeps_it_for_replay(
    pipeline: Pipeline, function: str
) -> None:
    pipeline.functions.fail(function, "KeyError")

    execution = pipeline.run(submission())

    (message,) = pipeline.failure_messages()
    assert execution.states[-3:] == ["Record Failure", "Publish Failure", "Ticket Failed"]
    assert (message["input"], message["error"]) == (submission(), "KeyError")
    assert pipeline.waits == []


def test_a_ticket_that_cannot_be_stored_waits_in_the_waiting_room(
    pipeline: Pipeline, aws_faults: Any, inbox: Inbox
) -> None:
    aws_faults.fail("dynamodb.PutItem", 500, "InternalServerError")

    execution = pipeline.run(submission())

    (message,) = pipeline.deferred()
    assert (execution.status, execution.states[-1]) == ("SUCCEEDED", "Ticket Deferred")
    assert stored(submission()["ticketId"]) is None
    assert (message["input"], message["error"]) == (submission(), "StoreUnavailable")
    assert len(pipeline.waits) == 3
    aws_faults.heal()
    pipeline.run(resumed(message))
    assert len(inbox()) == 1


def test_a_failure_that_cannot_be_recorded_is_still_published(
    pipeline: Pipeline, model: Model, aws_faults: Any
) -> None:
    model.fail(deny=1.0)
    aws_faults.fail("dynamodb.UpdateItem", 400, "ProvisionedThroughputExceededException")

    execution = pipeline.run(submission())

    (message,) = pipeline.failure_messages()
    assert execution.states[-3:] == ["Record Failure", "Publish Failure", "Ticket Failed"]
    assert message["error"] == "ModelRejected", (
        "the message has the first error, not the error of recording it"
    )
    assert require_stored(submission()["ticketId"])["status"] == "RECEIVED", "the sweep finds the ticket"


def test_a_failure_that_cannot_be_published_is_sent_to_the_queue(pipeline: Pipeline, model: Model) -> None:
    model.fail(deny=1.0)
    aws_client("sns").delete_topic(TopicArn="arn:aws:sns:us-east-1:123456789012:failures")

    execution = pipeline.run(submission())

    (message,) = pipeline.failure_messages()
    assert execution.states[-3:] == ["Publish Failure", "Queue Failure", "Ticket Failed"]
    assert (message["input"], message["error"]) == (submission(), "ModelRejected")


def test_an_execution_ends_as_failed_even_if_the_queue_is_missing(pipeline: Pipeline, model: Model) -> None:
    model.fail(deny=1.0)
    aws_client("sns").delete_topic(TopicArn="arn:aws:sns:us-east-1:123456789012:failures")
    aws_client("sqs").delete_queue(QueueUrl=pipeline._queue_url)

    execution = pipeline.run(submission())

    assert (execution.status, execution.error) == ("FAILED", "TicketFailed")
    assert require_stored(submission()["ticketId"])["status"] == "FAILED"


def test_a_notification_that_fails_for_now_is_sent_later_without_classifying_again(
    pipeline: Pipeline, aws_faults: Any, inbox: Inbox, model: Model
) -> None:
    aws_faults.fail("sns.Publish", 503, "ServiceUnavailable")

    pipeline.run(submission())
    ticket = require_stored(submission()["ticketId"])
    (message,) = pipeline.deferred()
    aws_faults.heal()
    resumption = pipeline.run(resumed(message))

    assert (ticket["status"], ticket["waitingFor"]) == ("PROCESSED", "NotifyUnavailable")
    assert ticket["pendingSince"]
    assert resumption.states == ["Store Ticket", "Already Processed?", "Notify Support"]
    assert (len(inbox()), model.calls()["total"]) == (1, 1)


def test_a_ticket_whose_notification_is_rejected_stays_processed_and_can_be_replayed(
    pipeline: Pipeline, aws_faults: Any, inbox: Inbox
) -> None:
    aws_faults.fail("sns.Publish", 403, "AuthorizationError")

    execution = pipeline.run(submission())

    ticket = require_stored(submission()["ticketId"])
    (message,) = pipeline.failure_messages()
    assert (execution.status, message["error"]) == ("FAILED", "NotifyRejected")
    assert (ticket["status"], ticket["failure"]["error"]) == ("PROCESSED", "NotifyRejected")
    assert "pendingSince" not in ticket
    aws_faults.heal()
    pipeline.run(resumed(message))
    assert len(inbox()) == 1


def test_a_failed_ticket_that_is_restarted_is_processed_and_counts_its_attempts(
    pipeline: Pipeline, model: Model, inbox: Inbox
) -> None:
    model.fail(deny=1.0)
    pipeline.run(submission())
    model.fail()

    repeated = pipeline.run(submission())

    ticket = require_stored(submission()["ticketId"])
    assert repeated.status == "SUCCEEDED"
    assert (ticket["status"], ticket["attempts"], ticket["failure"]["error"]) == (
        "PROCESSED",
        2,
        "ModelRejected",
    )
    assert len(inbox()) == 1


def reused_id() -> dict[str, Any]:
    """Another submission with the same id."""
    other = copy.deepcopy(submission())
    other["request"]["content"] = "Something else entirely."
    return other


def test_another_submission_with_a_used_id_is_processed_once_under_a_derived_id(
    pipeline: Pipeline, inbox: Inbox
) -> None:
    pipeline.run(submission())
    before = require_stored(submission()["ticketId"])

    first, again = pipeline.run(reused_id()), pipeline.run(reused_id())

    ids = [json.loads(notification["Body"])["ticketId"] for notification in inbox()]
    assert (first.status, again.status, len(ids)) == ("SUCCEEDED", "SUCCEEDED", 2)
    own = require_stored(ids[1])
    assert (own["content"], own["status"]) == ("Something else entirely.", "PROCESSED")
    assert own["idempotencyKey"] == ids[0] == submission()["ticketId"]
    assert require_stored(submission()["ticketId"]) == before
    assert pipeline.failure_messages() == []


def test_the_failure_of_a_submission_with_a_used_id_does_not_change_the_first_ticket(
    pipeline: Pipeline,
) -> None:
    pipeline.functions.fail("classify", "KeyError", "KeyError")
    pipeline.run(submission())
    before = require_stored(submission()["ticketId"])
    table = TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])

    pipeline.run(reused_id())

    own = table.find(Ticket.from_submission(reused_id(), now=datetime.now(UTC), retention_days=0))
    assert own is not None
    assert (own.status, own.failure and own.failure["error"]) == (Status.FAILED, "KeyError")
    assert require_stored(submission()["ticketId"]) == before
    assert [message["input"] for message in pipeline.failure_messages()] == [submission(), reused_id()]


@pytest.mark.parametrize("case", ["missing-content", "missing-ticket-id", "content-of-wrong-type"])
def test_an_invalid_submission_fails_without_a_write_to_the_table(pipeline: Pipeline, case: str) -> None:
    execution = pipeline.run(submission(case))

    (message,) = pipeline.failure_messages()
    assert execution.states == ["Store Ticket", "Publish Failure", "Ticket Failed"]
    assert (message["input"], message["error"]) == (submission(case), "InvalidTicket")
    assert aws_client("dynamodb").scan(TableName=os.environ["TICKETS_TABLE"])["Count"] == 0
