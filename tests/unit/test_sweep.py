"""Sweep: a ticket that nothing is processing is sent to the waiting room, and no other changes."""

import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support.aws import clients
from support.aws.serialization import to_item
from support.aws.table import TicketTable
from support.background import sweep
from support.domain.execution import Execution
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Analysis, Failure, Status
from tests.helpers.aws_clients import aws_client
from tests.helpers.lambda_context import lambda_context

EVENTS = Path(__file__).parents[2] / "events"
SUBMISSION: dict[str, Any] = json.loads((EVENTS / "executions" / "billing.json").read_text())
ANALYSIS: Analysis = json.loads((EVENTS / "update" / "analysis.json").read_text())["ticket"]["analysis"]
FAILURE: Failure = {"error": "ModelRejected", "cause": "no", "failedAt": "2026-01-01T12:00:07.000Z"}
TICKET_ID: str = SUBMISSION["ticketId"]
Messages = Callable[[], list[dict[str, Any]]]
LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
def table(aws: None) -> TicketTable:
    return TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])


def submitted(now: datetime = LONG_AGO) -> Ticket:
    return Ticket.from_submission(SUBMISSION, now=now, retention_days=0)


def current(table: TicketTable) -> Ticket:
    ticket = table.get(TICKET_ID)
    assert ticket is not None
    return ticket


NOTHING = dict.fromkeys(("swept", "set_aside", "left", "fault", "unavailable"), 0)


def run_sweep(remaining_milliseconds: int = 60_000) -> dict[str, int]:
    context = lambda_context(remaining_milliseconds=remaining_milliseconds)
    return dict(sweep.handler({}, context))


class RejectedMessages:
    """Makes SQS reject the messages of some tickets."""

    def __init__(self) -> None:
        self._events = clients.sqs().meta.events
        self._faults: list[Any] = []

    def __call__(self, ticket_id: str, status: int, code: str) -> None:
        """Respond with an error to each message of a ticket, given the start of its id."""
        error = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}

        def respond(params: dict[str, Any], **_: object) -> Any:
            message = json.loads(json.loads(params["body"])["MessageBody"])
            is_selected = message["input"]["ticketId"].startswith(ticket_id)
            return (SimpleNamespace(status_code=status), error) if is_selected else None

        self._events.register("before-call.sqs.SendMessage", respond)
        self._faults.append(respond)

    def heal(self) -> None:
        for respond in self._faults:
            self._events.unregister("before-call.sqs.SendMessage", respond)
        self._faults.clear()


@pytest.fixture
def rejected_messages() -> Iterator[RejectedMessages]:
    messages = RejectedMessages()
    yield messages
    messages.heal()


def set_attribute(name: str, value: str, ticket_id: str = TICKET_ID) -> None:
    aws_client("dynamodb").update_item(
        TableName=os.environ["TICKETS_TABLE"],
        Key={"ticketId": {"S": ticket_id}},
        UpdateExpression="SET #name = :value",
        ExpressionAttributeNames={"#name": name},
        ExpressionAttributeValues={":value": {"S": value}},
    )


def metric(output: str, name: str) -> list[float]:
    """The values of a metric in the functions' output."""
    lines = [line for line in map(json.loads, output.splitlines()) if name in line]
    return [value for line in lines for value in line[name]]


def test_a_ticket_that_was_stored_and_never_classified_is_swept(
    table: TicketTable, waiting_messages: Messages
) -> None:
    table.add(submitted())

    assert run_sweep()["swept"] == 1
    (message,) = waiting_messages()
    assert Ticket.from_submission(message["input"], now=LONG_AGO, retention_days=0).is_same_submission_as(
        submitted()
    )
    assert (message["error"], current(table).waiting_for) == ("TicketStuck", "TicketStuck")


def test_a_ticket_that_was_classified_and_never_notified_is_swept(
    table: TicketTable, waiting_messages: Messages
) -> None:
    table.add(submitted())
    table.record_analysis(TICKET_ID, ANALYSIS, execution_name="request-1", now=LONG_AGO)

    assert run_sweep()["swept"] == 1
    assert current(table).status is Status.PROCESSED
    assert len(waiting_messages()) == 1


def execution_of(execution: str) -> Execution:
    return Execution(name=execution, arn=execution, entered_at="2026-01-01T12:00:00.000Z")


def test_a_stuck_ticket_with_priority_is_sent_to_the_priority_queue(
    table: TicketTable, waiting_messages: Messages, waiting_priority_messages: Messages
) -> None:
    table.add(replace(submitted(), priority="high"))

    assert run_sweep()["swept"] == 1

    (message,) = waiting_priority_messages()
    assert (message["input"]["ticketId"], message["input"]["request"]["priority"]) == (TICKET_ID, "high")
    assert waiting_messages() == []


def test_recent_and_failed_tickets_are_not_swept(table: TicketTable, waiting_messages: Messages) -> None:
    now = datetime.now(UTC)
    table.add(submitted(now))
    assert run_sweep()["swept"] == 0
    table.record_failure(TICKET_ID, FAILURE, execution_name="request-1", execution_arn="request-1", now=now)
    assert run_sweep()["swept"] == 0
    assert waiting_messages() == []


def test_a_ticket_that_an_execution_is_processing_is_not_swept(
    table: TicketTable, waiting_messages: Messages
) -> None:
    table.add(submitted())
    table.claim(submitted(), execution_of("request-2"), datetime.now(UTC))

    assert run_sweep() == NOTHING | {"left": 1}
    assert waiting_messages() == []


def test_a_ticket_with_an_expired_lease_is_swept(table: TicketTable, waiting_messages: Messages) -> None:
    table.claim(submitted(), execution_of("request-1"), LONG_AGO)

    assert run_sweep()["swept"] == 1


def test_a_ticket_in_the_waiting_room_is_not_swept(table: TicketTable, waiting_messages: Messages) -> None:
    table.add(submitted())

    assert [run_sweep()["swept"], run_sweep()["swept"]] == [1, 0]
    assert len(waiting_messages()) == 1


def test_a_ticket_whose_message_was_lost_is_swept_once_and_keeps_its_waiting_time(
    table: TicketTable, waiting_messages: Messages
) -> None:
    table.add(submitted())
    run_sweep()
    long_ago = timestamp(datetime.now(UTC) - timedelta(hours=26))
    set_attribute("waitingSince", long_ago)

    assert [run_sweep()["swept"], run_sweep()["swept"]] == [1, 0], "once, not at every sweep"
    assert waiting_messages()[-1]["input"]["waiting"]["since"] == long_ago


def test_the_waiting_room_is_measured(
    table: TicketTable, waiting_messages: Messages, capsys: pytest.CaptureFixture[str]
) -> None:
    table.add(submitted())
    run_sweep()
    set_attribute("waitingSince", timestamp(LONG_AGO))
    capsys.readouterr()

    run_sweep()

    output = capsys.readouterr().out
    assert metric(output, "TicketsWaiting") == [1]
    assert metric(output, "OldestTicketWaiting")[0] >= 3600


def test_an_empty_waiting_room_is_measured_as_zero(
    table: TicketTable, capsys: pytest.CaptureFixture[str]
) -> None:
    run_sweep()

    output = capsys.readouterr().out
    assert (metric(output, "TicketsWaiting"), metric(output, "OldestTicketWaiting")) == ([0], [0])


def add_backlog(table: TicketTable, count: int) -> list[str]:
    """Add stuck tickets; return their ids."""
    ids = [f"{TICKET_ID[:-3]}{number:03}" for number in range(count)]
    for ticket_id in ids:
        document = SUBMISSION | {"ticketId": ticket_id}
        table.add(Ticket.from_submission(document, now=LONG_AGO, retention_days=0))
    return ids


def put_broken(ticket_id: str, **changes: Any) -> None:
    """Store a stuck ticket with fields that the code does not write; None omits a field."""
    item = to_item(submitted().to_document() | {"ticketId": ticket_id}) | changes
    present = {name: value for name, value in item.items() if value is not None}
    aws_client("dynamodb").put_item(TableName=os.environ["TICKETS_TABLE"], Item=present)


def stored(ticket_id: str) -> Any:
    response: Any = aws_client("dynamodb").get_item(
        TableName=os.environ["TICKETS_TABLE"], Key={"ticketId": {"S": ticket_id}}
    )
    return response["Item"]


BROKEN: list[tuple[str, Any]] = [
    ("createdAt", {"S": "yesterday"}),
    ("createdAt", None),
    ("updatedAt", {"S": "5"}),
    ("pendingSince", {"S": "soon"}),
    ("status", {"S": "LOST"}),
    ("customerId", None),
    ("content", None),
    ("content", {"B": b"x"}),
    ("attempts", {"S": "2"}),
    ("leasedUntil", {"S": "later"}),
    ("waitingFor", {"SS": ["3"]}),
]


@pytest.mark.usefixtures("waiting_messages")
@pytest.mark.parametrize("broken", BROKEN)
def test_an_unreadable_ticket_is_set_aside_and_published_once(
    table: TicketTable, failure_messages: Any, log: io.StringIO, broken: tuple[str, Any]
) -> None:
    table.add(submitted())
    put_broken("broken", **dict([broken]))
    before = stored("broken")

    assert run_sweep() == NOTHING | {"swept": 1, "set_aside": 1}
    assert run_sweep() == NOTHING

    after, (message,) = stored("broken"), failure_messages()
    assert (message["input"], message["error"]) == ({"ticketId": "broken"}, "TicketUnreadable")
    assert after.pop("setAside")["M"]["cause"]["S"] == message["cause"]
    assert after == {name: value for name, value in before.items() if name != "pendingSince"}
    lines = [
        line for line in map(json.loads, log.getvalue().splitlines()) if line.get("ticketId") == "broken"
    ]
    assert [(line["level"], line["message"]) for line in lines] == [("ERROR", "ticket set aside")]


def test_an_unreadable_ticket_that_cannot_be_published_stays_pending(
    table: TicketTable, waiting_messages: Messages, failure_messages: Any
) -> None:
    aws_client("sns").delete_topic(TopicArn=os.environ["FAILURE_TOPIC_ARN"])
    put_broken("broken", createdAt={"S": "yesterday"})

    assert run_sweep() == NOTHING | {"fault": 1}
    assert stored("broken")["pendingSince"]


def test_tickets_that_cannot_be_sent_do_not_block_the_others(
    table: TicketTable, waiting_messages: Messages, rejected_messages: Any
) -> None:
    *rejected, _, _ = add_backlog(table, 20)
    for ticket_id in rejected:
        rejected_messages(ticket_id, 400, "InvalidMessageContents")

    assert run_sweep() == NOTHING | {"swept": 2, "fault": 18}
    rejected_messages.heal()
    assert run_sweep() == NOTHING | {"swept": 18}


def test_a_transient_error_for_one_ticket_does_not_block_the_others(
    table: TicketTable, waiting_messages: Messages, rejected_messages: Any
) -> None:
    ids = add_backlog(table, 12)
    rejected_messages(ids[5], 500, "InternalServerError")

    assert run_sweep() == NOTHING | {"swept": 11, "unavailable": 1}


def test_a_run_ends_early_when_sqs_is_down(
    table: TicketTable, waiting_messages: Messages, rejected_messages: Any
) -> None:
    add_backlog(table, 30)
    rejected_messages("", 503, "ServiceUnavailable")

    assert run_sweep() == NOTHING | {"unavailable": 10}
    rejected_messages.heal()
    assert run_sweep() == NOTHING | {"swept": 30}


def test_a_run_ends_before_its_timeout(table: TicketTable, waiting_messages: Messages) -> None:
    add_backlog(table, 3)

    assert run_sweep(remaining_milliseconds=14_000) == NOTHING
    assert run_sweep(remaining_milliseconds=16_000) == NOTHING | {"swept": 3}
