"""Resume: a waiting ticket is processed, waits again, or fails; none is lost."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.aws import clients
from support.aws.table import TicketTable
from support.background import resume
from support.background.pace import Pace
from support.domain.errors import NotifyRejected, StartRejected
from support.domain.execution import Execution
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Status
from tests.helpers.aws_clients import aws_client
from tests.helpers.lambda_context import lambda_context
from tests.helpers.queues import receive_all
from tests.unit.conftest import EXECUTION_ARN, StepFunctions

EVENTS = Path(__file__).parents[2] / "events"
SUBMISSION: dict[str, Any] = json.loads((EVENTS / "executions" / "billing.json").read_text())
TICKET_ID: str = SUBMISSION["ticketId"]
MESSAGE_ID = "7b2d1c4e-3b12-4a5f-9d6e-1c2b3a4d5e6f"
NAME = f"{TICKET_ID}-r7b2d1c4e"
FIRST_EXECUTION = "arn:aws:states:us-east-1:123456789012:express:ticket-pipeline:request-1:1"
Messages = Callable[[], list[dict[str, Any]]]


def ago(**duration: float) -> str:
    return timestamp(datetime.now(UTC) - timedelta(**duration))


def deferred(error: str = "ModelThrottled", waiting: dict[str, Any] | None = None, **changes: Any) -> str:
    """A message of Defer Ticket."""
    message = {
        "input": SUBMISSION | ({"waiting": waiting} if waiting else {}),
        "execution": FIRST_EXECUTION,
        "error": error,
        "cause": "no",
        "deferredAt": ago(minutes=1),
    }
    return json.dumps(message | changes)


def failed(**changes: Any) -> str:
    """A failure message that was moved to the waiting room for a replay."""
    message = json.loads(deferred("ModelRejected")) | {"failedAt": ago(days=3)}
    del message["deferredAt"]
    return json.dumps(message | changes)


def consume(body: str) -> None:
    """Pass a message to the handler."""
    record = {"messageId": MESSAGE_ID, "body": body, "eventSource": "aws:sqs"}
    resume.handler({"Records": [record]}, lambda_context())


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new pace, which never sleeps."""
    monkeypatch.setattr(resume, "PACE", Pace(clock=lambda: 0.0, sleep=lambda _: None))


@pytest.fixture
def table(aws: None) -> TicketTable:
    return TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])


@pytest.fixture
def waiting_ticket(table: TicketTable) -> Ticket:
    """A stored ticket that was deferred a minute ago."""
    now = datetime.now(UTC)
    submitted = Ticket.from_submission(SUBMISSION, now=now, retention_days=0)
    table.claim(submitted, Execution(name="request-1", arn=FIRST_EXECUTION, entered_at=ago(minutes=1)), now)
    table.record_deferral(
        TICKET_ID, error="ModelThrottled", since=ago(minutes=1), execution_arn=FIRST_EXECUTION, now=now
    )
    return current(table)


def current(table: TicketTable) -> Ticket:
    ticket = table.get(TICKET_ID)
    assert ticket is not None
    return ticket


def test_a_deferred_ticket_is_processed_again_with_its_waiting_time(
    waiting_messages: Messages, step_functions: StepFunctions
) -> None:
    body = deferred()

    consume(body)

    execution_input = step_functions.started[NAME]
    deferred_at = timestamp(datetime.fromisoformat(json.loads(body)["deferredAt"]))
    assert execution_input.pop("waiting") == {"since": deferred_at, "execution": FIRST_EXECUTION, "deaths": 0}
    assert execution_input == SUBMISSION
    assert waiting_messages() == []


def test_a_ticket_that_its_execution_deferred_again_is_not_sent_twice(
    waiting_messages: Messages, step_functions: StepFunctions
) -> None:
    step_functions.succeeds({"failure": {"Error": "ModelThrottled", "Cause": "no"}})

    consume(deferred())

    assert waiting_messages() == []


def test_a_failure_that_the_execution_published_is_not_published_again(
    waiting_messages: Messages, step_functions: StepFunctions, failure_messages: Any
) -> None:
    step_functions.fails("TicketFailed")

    consume(deferred())

    assert (waiting_messages(), failure_messages()) == ([], [])


@pytest.mark.parametrize("end", ["times_out", "fails"])
def test_a_ticket_whose_execution_ended_without_a_catch_waits_again(
    waiting_messages: Messages, step_functions: StepFunctions, end: str
) -> None:
    step_functions.fails("States.Runtime") if end == "fails" else step_functions.times_out()
    since = ago(hours=1)

    consume(deferred(waiting={"since": since, "execution": "", "deaths": 0}))

    (message,) = waiting_messages()
    assert message["error"] == ("States.Runtime" if end == "fails" else "States.Timeout")
    assert (message["execution"], message["input"]["waiting"]["since"]) == (EXECUTION_ARN, since)


def test_a_ticket_with_priority_waits_again_in_the_priority_queue(
    waiting_messages: Messages, waiting_priority_messages: Messages, step_functions: StepFunctions
) -> None:
    step_functions.times_out()

    consume(deferred(input=SUBMISSION | {"request": {**SUBMISSION["request"], "priority": "high"}}))

    (message,) = waiting_priority_messages()
    assert (message["input"]["ticketId"], waiting_messages()) == (TICKET_ID, [])


@pytest.mark.parametrize(
    ("status", "code"),
    [(429, "ThrottlingException"), (503, "ServiceUnavailable"), (400, "ThrottlingException")],
)
def test_a_ticket_whose_execution_cannot_start_now_waits_again(
    waiting_messages: Messages, step_functions: StepFunctions, status: int, code: str
) -> None:
    step_functions.rejects(status, code)

    consume(deferred())

    (message,) = waiting_messages()
    assert (message["error"], message["execution"]) == ("StartUnavailable", FIRST_EXECUTION)
    assert {**message["input"], "waiting": None} == SUBMISSION | {"waiting": None}


def test_a_message_whose_execution_is_rejected_stays_in_the_queue(
    waiting_messages: Messages, step_functions: StepFunctions
) -> None:
    step_functions.rejects(400, "AccessDeniedException")

    with pytest.raises(StartRejected):
        consume(deferred())
    assert waiting_messages() == []


def test_a_ticket_that_has_waited_too_long_fails(
    table: TicketTable, waiting_ticket: Ticket, step_functions: StepFunctions, failure_messages: Any
) -> None:
    consume(deferred(waiting={"since": ago(hours=25), "execution": FIRST_EXECUTION, "deaths": 0}))

    (message,) = failure_messages()
    ticket = current(table)
    assert (message["input"], message["error"]) == (SUBMISSION, "WaitedTooLong")
    assert "ModelThrottled" in message["cause"]
    assert (ticket.status, ticket.failure and ticket.failure["error"]) == (Status.FAILED, "WaitedTooLong")
    assert (ticket.waiting_since, ticket.pending_since) == (None, None)
    assert step_functions.started == {}


def test_a_ticket_that_was_never_stored_and_has_waited_too_long_is_published(
    table: TicketTable, step_functions: StepFunctions, failure_messages: Any
) -> None:
    consume(deferred("StoreUnavailable", waiting={"since": ago(hours=25)}))

    (message,) = failure_messages()
    assert (message["input"], message["error"]) == (SUBMISSION, "WaitedTooLong")


def test_a_message_whose_failure_cannot_be_published_stays_in_the_queue(
    table: TicketTable, step_functions: StepFunctions
) -> None:
    # The failure topic does not exist.
    with pytest.raises(NotifyRejected):
        consume(deferred(waiting={"since": ago(hours=25)}))


@pytest.mark.parametrize(
    "error", ["Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout", "States.Timeout", "States.Runtime"]
)
def test_a_ticket_fails_after_three_consecutive_crashes_or_timeouts(
    table: TicketTable,
    waiting_ticket: Ticket,
    step_functions: StepFunctions,
    failure_messages: Any,
    error: str,
) -> None:
    waiting: dict[str, Any] = {}
    for _ in range(3):
        consume(deferred(error, waiting=waiting))
        waiting = step_functions.started.pop(NAME, {}).get("waiting")

    (message,) = failure_messages()
    assert (message["input"], message["error"]) == (SUBMISSION, error)
    assert current(table).status is Status.FAILED


def test_another_error_resets_the_count_of_crashes(
    step_functions: StepFunctions, failure_messages: Any
) -> None:
    waiting: dict[str, Any] = {}
    for error in ("States.Timeout", "States.Timeout", "Lambda.TooManyRequestsException", "States.Timeout"):
        consume(deferred(error, waiting=waiting))
        waiting = step_functions.started.pop(NAME)["waiting"]

    assert waiting["deaths"] == 1
    assert failure_messages() == []


def test_a_replay_resets_the_waiting_time_and_the_count_of_crashes(
    step_functions: StepFunctions, failure_messages: Any
) -> None:
    waiting = {"since": ago(hours=30), "execution": "", "deaths": 3}

    consume(failed(input=SUBMISSION | {"waiting": waiting}, error="States.Timeout"))

    restarted = step_functions.started[NAME]["waiting"]
    assert (restarted["execution"], restarted["deaths"]) == (FIRST_EXECUTION, 0)
    assert restarted["since"] > ago(minutes=1)
    assert failure_messages() == []


@pytest.mark.parametrize(
    "message",
    [
        "text",
        "{}",
        "[]",
        "null",
        '{"input": 5, "execution": "e", "error": "e"}',
        '{"input": {}, "execution": "e", "error": "e"}',
        deferred(deferredAt=5),
        deferred(waiting={"since": "yesterday"}),
        deferred(waiting={"deaths": "many"}),
        deferred(input=SUBMISSION | {"waiting": "long"}),
    ],
)
def test_an_invalid_message_is_sent_unchanged_to_the_failed_tickets_queue(
    waiting_messages: Messages, step_functions: StepFunctions, message: str
) -> None:
    sqs = aws_client("sqs")
    url = sqs.create_queue(QueueName=os.environ["FAILED_TICKETS_QUEUE_URL"].rpartition("/")[2])["QueueUrl"]

    consume(message)

    assert [received["Body"] for received in receive_all(sqs, url)] == [message]
    assert (step_functions.started, waiting_messages()) == ({}, [])


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sleeps: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds


def test_the_pause_grows_while_tickets_are_deferred_and_shrinks_while_they_are_processed() -> None:
    clock = Clock()
    pace = Pace(clock=lambda: clock.now, sleep=clock.sleep)

    pace.wait()
    for _ in range(5):
        pace.slow_down()
        pace.wait()
    for _ in range(120):
        pace.speed_up()
        pace.wait()

    first, *slower = clock.sleeps[:6]
    assert first == 0
    for pause, middle in zip(slower, [2, 6, 10, 10, 10], strict=True):
        assert middle / 2 <= pause <= middle * 1.5
    assert clock.sleeps[-1] == 0


def test_idle_time_counts_towards_the_pause() -> None:
    clock = Clock()
    pace = Pace(clock=lambda: clock.now, sleep=clock.sleep)
    pace.slow_down()
    clock.now += 60

    pace.wait()

    assert clock.sleeps == [0]
