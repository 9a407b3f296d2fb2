"""Resume: a ticket in the waiting room is run again, waits again, or is given up loudly; none is lost."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from support.aws import clients
from support.aws.table import TicketTable
from support.background import resume
from support.background.pace import Pace
from support.domain.errors import NotifyRejected, StartRejected
from support.domain.execution import Execution
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Status
from tests.conftest import receive_all, subscribed_queue
from tests.lambda_context import lambda_context
from tests.unit.conftest import EXECUTION_ARN, StepFunctions

EVENTS = Path(__file__).parents[2] / "events"
SUBMISSION: dict[str, Any] = json.loads((EVENTS / "executions" / "billing.json").read_text())
TICKET_ID: str = SUBMISSION["ticketId"]
MESSAGE_ID = "7b2d1c4e-3b12-4a5f-9d6e-1c2b3a4d5e6f"
NAME = f"{TICKET_ID}-r7b2d1c4e"
FIRST_EXECUTION = "arn:aws:states:us-east-1:123456789012:express:ticket-pipeline:request-1:1"
Admitted = Callable[[], list[dict[str, Any]]]


def ago(**duration: float) -> str:
    return timestamp(datetime.now(UTC) - timedelta(**duration))


def deferred(error: str = "ModelThrottled", waiting: dict[str, Any] | None = None, **changes: Any) -> str:
    """A message as Defer Ticket sends it."""
    message = {
        "input": SUBMISSION | ({"waiting": waiting} if waiting else {}),
        "execution": FIRST_EXECUTION,
        "error": error,
        "cause": "no",
        "deferredAt": ago(minutes=1),
    }
    return json.dumps(message | changes)


def failed(**changes: Any) -> str:
    """A failure message, as it is moved here to replay its ticket."""
    message = json.loads(deferred("ModelRejected")) | {"failedAt": ago(days=3)}
    del message["deferredAt"]
    return json.dumps(message | changes)


def resumed(body: str) -> None:
    """Have a message consumed."""
    record = {"messageId": MESSAGE_ID, "body": body, "eventSource": "aws:sqs"}
    resume.handler({"Records": [record]}, lambda_context())


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A consumer that was not throttled before, and that need not wait."""
    monkeypatch.setattr(resume, "PACE", Pace(clock=lambda: 0.0, sleep=lambda _: None))


@pytest.fixture
def table(aws: None) -> TicketTable:
    return TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])


@pytest.fixture
def failure_messages(aws: None) -> Callable[[], list[dict[str, Any]]]:
    """What was published on the failure topic."""
    boto3.client("sns").create_topic(Name="failures")
    queue = subscribed_queue(os.environ["FAILURE_TOPIC_ARN"])
    return lambda: [json.loads(str(message["Body"])) for message in queue()]


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


def test_a_deferred_ticket_is_run_again_and_told_since_when_it_waits(
    admitted: Admitted, step_functions: StepFunctions
) -> None:
    body = deferred()

    resumed(body)

    execution_input = step_functions.started[NAME]
    began = timestamp(datetime.fromisoformat(json.loads(body)["deferredAt"]))
    assert execution_input.pop("waiting") == {"since": began, "execution": FIRST_EXECUTION, "deaths": 0}
    assert execution_input == SUBMISSION
    assert admitted() == []


def test_a_ticket_that_is_deferred_again_is_not_put_back_twice(
    admitted: Admitted, step_functions: StepFunctions
) -> None:
    step_functions.succeeds({"failure": {"Error": "ModelThrottled", "Cause": "no"}})

    resumed(deferred())

    assert admitted() == []


def test_a_ticket_whose_execution_failed_has_been_told_by_it(
    admitted: Admitted, step_functions: StepFunctions, failure_messages: Any
) -> None:
    step_functions.fails("TicketFailed")

    resumed(deferred())

    assert (admitted(), failure_messages()) == ([], [])


@pytest.mark.parametrize("end", ["times_out", "fails"])
def test_a_ticket_whose_execution_was_cut_off_waits_again(
    admitted: Admitted, step_functions: StepFunctions, end: str
) -> None:
    step_functions.fails("States.Runtime") if end == "fails" else step_functions.times_out()
    since = ago(hours=1)

    resumed(deferred(waiting={"since": since, "execution": "", "deaths": 0}))

    (message,) = admitted()
    assert message["error"] == ("States.Runtime" if end == "fails" else "States.Timeout")
    assert (message["execution"], message["input"]["waiting"]["since"]) == (EXECUTION_ARN, since)


def test_a_ticket_with_priority_waits_again_among_those_with_priority(
    admitted: Admitted, admitted_with_priority: Admitted, step_functions: StepFunctions
) -> None:
    step_functions.times_out()

    resumed(deferred(input=SUBMISSION | {"request": {**SUBMISSION["request"], "priority": "high"}}))

    (message,) = admitted_with_priority()
    assert (message["input"]["ticketId"], admitted()) == (TICKET_ID, [])


@pytest.mark.parametrize(
    ("status", "code"),
    [(429, "ThrottlingException"), (503, "ServiceUnavailable"), (400, "ThrottlingException")],
)
def test_a_ticket_that_step_functions_cannot_start_now_waits_again(
    admitted: Admitted, step_functions: StepFunctions, status: int, code: str
) -> None:
    step_functions.refuses(status, code)

    resumed(deferred())

    (message,) = admitted()
    assert (message["error"], message["execution"]) == ("StartUnavailable", FIRST_EXECUTION)
    assert {**message["input"], "waiting": None} == SUBMISSION | {"waiting": None}


def test_a_message_whose_start_is_refused_stays_in_the_queue(
    admitted: Admitted, step_functions: StepFunctions
) -> None:
    step_functions.refuses(400, "AccessDeniedException")

    with pytest.raises(StartRejected):
        resumed(deferred())
    assert admitted() == []


def test_a_ticket_that_waited_for_too_long_fails_visibly(
    table: TicketTable, waiting_ticket: Ticket, step_functions: StepFunctions, failure_messages: Any
) -> None:
    resumed(deferred(waiting={"since": ago(hours=25), "execution": FIRST_EXECUTION, "deaths": 0}))

    (message,) = failure_messages()
    ticket = current(table)
    assert (message["input"], message["error"]) == (SUBMISSION, "WaitedTooLong")
    assert "ModelThrottled" in message["cause"]
    assert (ticket.status, ticket.failure and ticket.failure["error"]) == (Status.FAILED, "WaitedTooLong")
    assert (ticket.waiting_since, ticket.pending_since) == (None, None)
    assert step_functions.started == {}


def test_a_ticket_that_was_never_stored_and_waited_for_too_long_is_told_as_well(
    table: TicketTable, step_functions: StepFunctions, failure_messages: Any
) -> None:
    resumed(deferred("StoreUnavailable", waiting={"since": ago(hours=25)}))

    (message,) = failure_messages()
    assert (message["input"], message["error"]) == (SUBMISSION, "WaitedTooLong")


def test_a_failure_of_which_nobody_can_be_told_keeps_its_message(
    table: TicketTable, step_functions: StepFunctions
) -> None:
    # There is no failure topic.
    with pytest.raises(NotifyRejected):
        resumed(deferred(waiting={"since": ago(hours=25)}))


@pytest.mark.parametrize(
    "error", ["Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout", "States.Timeout", "States.Runtime"]
)
def test_a_ticket_on_which_functions_die_three_rounds_in_a_row_fails_visibly(
    table: TicketTable,
    waiting_ticket: Ticket,
    step_functions: StepFunctions,
    failure_messages: Any,
    error: str,
) -> None:
    waiting: dict[str, Any] = {}
    for _ in range(3):
        resumed(deferred(error, waiting=waiting))
        waiting = step_functions.started.pop(NAME, {}).get("waiting")

    (message,) = failure_messages()
    assert (message["input"], message["error"]) == (SUBMISSION, error)
    assert current(table).status is Status.FAILED


def test_a_throttle_between_two_deaths_shows_that_they_are_not_the_tickets_doing(
    step_functions: StepFunctions, failure_messages: Any
) -> None:
    waiting: dict[str, Any] = {}
    for error in ("States.Timeout", "States.Timeout", "Lambda.TooManyRequestsException", "States.Timeout"):
        resumed(deferred(error, waiting=waiting))
        waiting = step_functions.started.pop(NAME)["waiting"]

    assert waiting["deaths"] == 1
    assert failure_messages() == []


def test_a_failed_ticket_that_is_replayed_begins_its_wait_anew(
    step_functions: StepFunctions, failure_messages: Any
) -> None:
    waiting = {"since": ago(hours=30), "execution": "", "deaths": 3}

    resumed(failed(input=SUBMISSION | {"waiting": waiting}, error="States.Timeout"))

    told = step_functions.started[NAME]["waiting"]
    assert (told["execution"], told["deaths"]) == (FIRST_EXECUTION, 0)
    assert told["since"] > ago(minutes=1)
    assert failure_messages() == []


@pytest.mark.parametrize(
    "poison",
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
def test_a_message_that_holds_no_ticket_goes_to_the_failed_tickets_queue_as_it_is(
    admitted: Admitted, step_functions: StepFunctions, poison: str
) -> None:
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName=os.environ["FAILED_TICKETS_QUEUE_URL"].rpartition("/")[2])["QueueUrl"]

    resumed(poison)

    assert [message["Body"] for message in receive_all(sqs, url)] == [poison]
    assert (step_functions.started, admitted()) == ({}, [])


class Clock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sleeps: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds


def test_the_consumer_slows_down_while_tickets_are_deferred_and_speeds_up_when_they_get_through() -> None:
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


def test_a_pause_that_went_by_while_nothing_waited_is_not_waited_again() -> None:
    clock = Clock()
    pace = Pace(clock=lambda: clock.now, sleep=clock.sleep)
    pace.slow_down()
    clock.now += 60

    pace.wait()

    assert clock.sleeps == [0]
