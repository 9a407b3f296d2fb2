"""Replay and sweep: each ticket is started again once, by whoever it belongs to, and no other is touched."""

import io
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from support.aws import clients
from support.aws.items import to_item
from support.aws.table import TicketTable
from support.domain.ticket import Analysis, Failure, Status, Ticket, timestamp
from support.operations import replay, sweep
from tests.lambda_context import lambda_context

EVENTS = Path(__file__).parents[2] / "events"
SUBMISSION: dict[str, Any] = json.loads((EVENTS / "executions" / "billing.json").read_text())
ANALYSIS: Analysis = json.loads((EVENTS / "update" / "analysis.json").read_text())["ticket"]["analysis"]
FAILURE: Failure = {"error": "ModelRejected", "cause": "no", "failedAt": "2026-01-01T12:00:07.000Z"}
TICKET_ID: str = SUBMISSION["ticketId"]
LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
def table(aws: None) -> TicketTable:
    return TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])


@pytest.fixture
def failure_messages(aws: None) -> Callable[[], list[dict[str, Any]]]:
    """What was published on the failure topic."""
    sqs, sns = boto3.client("sqs"), boto3.client("sns")
    sns.create_topic(Name="failures")
    url = sqs.create_queue(QueueName="failed")["QueueUrl"]
    sns.subscribe(
        TopicArn=os.environ["FAILURE_TOPIC_ARN"],
        Protocol="sqs",
        Endpoint="arn:aws:sqs:us-east-1:123456789012:failed",
        Attributes={"RawMessageDelivery": "true"},
    )

    def messages() -> list[dict[str, Any]]:
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in received]

    return messages


def submitted(now: datetime = LONG_AGO) -> Ticket:
    return Ticket.from_submission(SUBMISSION, now=now, retention_days=0)


def failed(table: TicketTable) -> Ticket:
    table.add(submitted())
    ticket = table.record_failure(TICKET_ID, FAILURE, execution="request-1")
    assert ticket is not None
    return ticket


def message(execution: str = "arn:aws:states:r:1:express:p:request-1:u", **changes: Any) -> str:
    return json.dumps({"input": SUBMISSION, "execution": execution, **FAILURE} | changes)


def replayed(*bodies: str) -> list[str]:
    """Have messages replayed; return the ids of those that failed."""
    records = [
        {"messageId": str(number), "body": body, "eventSource": "aws:sqs"}
        for number, body in enumerate(bodies)
    ]
    answer = replay.handler({"Records": records}, lambda_context())
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def current(table: TicketTable) -> Ticket:
    ticket = table.get(TICKET_ID)
    assert ticket is not None
    return ticket


def test_a_failed_ticket_is_started_again_with_its_first_input(table: TicketTable, started: Any) -> None:
    failed(table)

    assert replayed(message()) == []
    assert started() == {f"{TICKET_ID}-r2": SUBMISSION}
    assert (current(table).status, current(table).attempts) == (Status.RECEIVED, 2)


def test_the_same_message_replayed_twice_starts_one_execution(table: TicketTable, started: Any) -> None:
    failed(table)

    assert replayed(message(), message()) == []
    assert replayed(message()) == []
    assert list(started()) == [f"{TICKET_ID}-r2"]


@pytest.mark.parametrize("status", [Status.PROCESSED, Status.IN_PROGRESS, Status.COMPLETED])
def test_a_ticket_that_was_finished_meanwhile_is_left_alone(
    table: TicketTable, started: Any, status: Status
) -> None:
    table.add(submitted())
    table.record_analysis(TICKET_ID, ANALYSIS, execution="request-1", now=LONG_AGO)
    table.mark_announced(TICKET_ID, LONG_AGO)
    set_attribute("status", status)
    before = current(table)

    assert replayed(message()) == []
    assert started() == {}
    assert current(table) == before


def test_a_pending_ticket_is_left_to_its_execution_and_the_sweep(table: TicketTable, started: Any) -> None:
    table.add(submitted())

    assert replayed(message()) == []
    assert started() == {}


def test_a_processed_ticket_that_nobody_will_announce_is_started_again(
    table: TicketTable, started: Any
) -> None:
    table.add(submitted())
    processed = table.record_analysis(TICKET_ID, ANALYSIS, execution="request-1", now=LONG_AGO)
    table.give_up(processed, FAILURE)

    assert replayed(message()) == []
    assert list(started()) == [f"{TICKET_ID}-r2"]
    assert current(table).status is Status.PROCESSED


def test_a_ticket_that_was_never_stored_is_restored_from_the_message_alone(
    table: TicketTable, started: Any
) -> None:
    assert replayed(message(), message()) == []

    assert started() == {f"{TICKET_ID}-r1": SUBMISSION}, "once, though the message came twice"
    assert (current(table).status, current(table).content) == (Status.RECEIVED, submitted().content)
    assert current(table).pending_since, "should the execution vanish, the sweep finds it"


@pytest.mark.parametrize(
    "poison",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"input": 5, "execution": "e"}',
        '{"input": {}}',
    ],
)
def test_a_poison_message_stays_in_the_queue_and_holds_up_no_other(
    table: TicketTable, started: Any, poison: str
) -> None:
    failed(table)

    assert replayed(poison, message()) == ["0"]
    assert list(started()) == [f"{TICKET_ID}-r2"]


def test_two_failed_submissions_with_one_id_are_both_replayed(table: TicketTable, started: Any) -> None:
    failed(table)
    other = SUBMISSION | {"request": {"content": "Something else entirely."}}

    assert replayed(message(input=other), message(), message(input=other)) == []

    own = table.find(Ticket.from_submission(other, now=LONG_AGO, retention_days=0))
    assert own is not None
    assert own.ticket_id != TICKET_ID
    assert started() == {f"{own.ticket_id}-r1": other, f"{TICKET_ID}-r2": SUBMISSION}


def test_a_message_whose_execution_cannot_be_started_is_kept(table: TicketTable) -> None:
    failed(table)

    assert replayed(message()) == ["0"], "there is no state machine"


NOTHING = dict.fromkeys(("restarted", "given_up", "set_aside", "left", "fault", "unavailable"), 0)


def run_sweep(remaining_milliseconds: int = 60_000) -> dict[str, int]:
    context = lambda_context(remaining_milliseconds=remaining_milliseconds)
    return dict(sweep.handler({}, context))


class RefusedStarts:
    """Step Functions refuses to start the executions of some tickets."""

    def __init__(self) -> None:
        self._events = clients.stepfunctions().meta.events
        self._faults: list[Any] = []

    def __call__(self, ticket_id: str, status: int, code: str) -> None:
        """Answer each start of a ticket, by the beginning of its id, with an error."""
        error = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}

        def answer(params: dict[str, Any], **_: object) -> Any:
            name = json.loads(params["body"])["name"]
            return (SimpleNamespace(status_code=status), error) if name.startswith(ticket_id) else None

        self._events.register("before-call.sfn.StartExecution", answer)
        self._faults.append(answer)

    def heal(self) -> None:
        for answer in self._faults:
            self._events.unregister("before-call.sfn.StartExecution", answer)
        self._faults.clear()


@pytest.fixture
def refused_starts() -> Iterator[RefusedStarts]:
    starts = RefusedStarts()
    yield starts
    starts.heal()


def set_attribute(name: str, value: str, ticket_id: str = TICKET_ID) -> None:
    boto3.client("dynamodb").update_item(
        TableName=os.environ["TICKETS_TABLE"],
        Key={"ticketId": {"S": ticket_id}},
        UpdateExpression="SET #name = :value",
        ExpressionAttributeNames={"#name": name},
        ExpressionAttributeValues={":value": {"S": value}},
    )


def test_a_ticket_that_was_stored_and_never_classified_is_swept(table: TicketTable, started: Any) -> None:
    table.add(submitted())

    assert run_sweep()["restarted"] == 1
    (name,) = started()
    assert name == f"{TICKET_ID}-s2"
    assert Ticket.from_submission(started()[name], now=LONG_AGO, retention_days=0).is_same_submission_as(
        submitted()
    )


def test_a_ticket_that_was_classified_and_never_announced_is_swept(table: TicketTable, started: Any) -> None:
    table.add(submitted())
    table.record_analysis(TICKET_ID, ANALYSIS, execution="request-1", now=LONG_AGO)

    assert run_sweep()["restarted"] == 1
    assert current(table).status is Status.PROCESSED
    assert len(started()) == 1


def test_young_failed_and_announced_tickets_are_left_alone(table: TicketTable, started: Any) -> None:
    table.store(submitted(datetime.now(UTC)), datetime.now(UTC), execution="another")
    assert run_sweep()["restarted"] == 0
    table.record_failure(TICKET_ID, FAILURE, execution="request-1")
    assert run_sweep()["restarted"] == 0
    assert started() == {}


def test_a_swept_ticket_gets_its_time_before_it_is_swept_again(table: TicketTable, started: Any) -> None:
    table.add(submitted())

    assert [run_sweep()["restarted"], run_sweep()["restarted"]] == [1, 0]
    assert len(started()) == 1


def test_after_three_sweeps_a_ticket_is_failed_and_told(
    table: TicketTable, started: Any, failure_messages: Any
) -> None:
    table.add(submitted())
    for _ in range(3):
        assert run_sweep()["restarted"] == 1
        set_attribute("pendingSince", timestamp(LONG_AGO))

    assert run_sweep() == NOTHING | {"given_up": 1}
    ticket = current(table)
    (told,) = failure_messages()
    assert len(started()) == 3
    assert (ticket.status, ticket.pending_since) == (Status.FAILED, None)
    assert ticket.failure is not None
    assert (told["error"], ticket.failure["error"]) == ("TicketStuck", "TicketStuck")
    assert replayed(json.dumps(told)) == [], "and it can be replayed"
    assert len(started()) == 4


def add_backlog(table: TicketTable, count: int) -> list[str]:
    """Add stuck tickets; return their ids."""
    ids = [f"{TICKET_ID[:-3]}{number:03}" for number in range(count)]
    for ticket_id in ids:
        document = SUBMISSION | {"ticketId": ticket_id}
        table.add(Ticket.from_submission(document, now=LONG_AGO, retention_days=0))
    return ids


def put_broken(ticket_id: str, **changes: Any) -> None:
    """Put a stuck ticket into the table with fields that the code does not write; None leaves one out."""
    item = to_item(submitted().to_document() | {"ticketId": ticket_id}) | changes
    present = {name: value for name, value in item.items() if value is not None}
    boto3.client("dynamodb").put_item(TableName=os.environ["TICKETS_TABLE"], Item=present)


def stored(ticket_id: str) -> Any:
    found: Any = boto3.client("dynamodb").get_item(
        TableName=os.environ["TICKETS_TABLE"], Key={"ticketId": {"S": ticket_id}}
    )
    return found["Item"]


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
    ("sweeps", {"SS": ["3"]}),
]


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize("broken", BROKEN)
def test_an_unreadable_ticket_is_set_aside_and_told_once(
    table: TicketTable, failure_messages: Any, log: io.StringIO, broken: tuple[str, Any]
) -> None:
    table.add(submitted())
    put_broken("broken", **dict([broken]))
    before = stored("broken")

    assert run_sweep() == NOTHING | {"restarted": 1, "set_aside": 1}
    assert run_sweep() == NOTHING

    after, (told,) = stored("broken"), failure_messages()
    assert (told["input"], told["error"]) == ({"ticketId": "broken"}, "TicketUnreadable")
    assert after.pop("setAside")["M"]["cause"]["S"] == told["cause"]
    assert after == {name: value for name, value in before.items() if name != "pendingSince"}
    lines = [
        line for line in map(json.loads, log.getvalue().splitlines()) if line.get("ticketId") == "broken"
    ]
    assert [(line["level"], line["message"]) for line in lines] == [("ERROR", "ticket set aside")]


def test_an_unreadable_ticket_of_which_nobody_can_be_told_stays(
    table: TicketTable, started: Any, failure_messages: Any
) -> None:
    boto3.client("sns").delete_topic(TopicArn=os.environ["FAILURE_TOPIC_ARN"])
    put_broken("broken", createdAt={"S": "yesterday"})

    assert run_sweep() == NOTHING | {"fault": 1}
    assert stored("broken")["pendingSince"]


def test_a_backlog_is_swept_over_several_runs(
    table: TicketTable, started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_backlog(table, 5)
    monkeypatch.setattr(sweep, "MAX_RESTARTS", 3)

    assert [run_sweep()["restarted"] for _ in range(3)] == [3, 2, 0]
    assert len(started()) == 5


@pytest.mark.usefixtures("failure_messages")
def test_tickets_that_cannot_be_started_take_no_place_from_others_and_are_given_up(
    table: TicketTable, started: Any, refused_starts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "MAX_RESTARTS", 2)
    *poison, _, _ = add_backlog(table, 20)
    for ticket_id in poison:
        refused_starts(ticket_id, 400, "InvalidName")

    assert run_sweep() == NOTHING | {"restarted": 2, "fault": 18}
    for outcome in ("fault", "fault", "given_up"):
        for ticket_id in poison:
            set_attribute("pendingSince", timestamp(LONG_AGO), ticket_id)
        assert run_sweep() == NOTHING | {outcome: 18}
    assert run_sweep() == NOTHING


def test_a_start_that_fails_for_the_moment_holds_up_no_other(
    table: TicketTable, started: Any, refused_starts: Any
) -> None:
    ids = add_backlog(table, 12)
    refused_starts(ids[5], 500, "InternalServerError")

    assert run_sweep() == NOTHING | {"restarted": 11, "unavailable": 1}


def test_a_run_ends_soon_when_step_functions_is_down(
    table: TicketTable, started: Any, refused_starts: Any
) -> None:
    add_backlog(table, 30)
    refused_starts("", 503, "ServiceUnavailable")

    assert run_sweep() == NOTHING | {"unavailable": 10}
    refused_starts.heal()
    assert run_sweep() == NOTHING | {"restarted": 20}


def test_a_run_ends_before_its_time_is_over(table: TicketTable, started: Any) -> None:
    add_backlog(table, 3)

    assert run_sweep(remaining_milliseconds=14_000) == NOTHING
    assert run_sweep(remaining_milliseconds=16_000) == NOTHING | {"restarted": 3}


def test_no_run_starts_a_ticket_that_another_run_took_first(table: TicketTable, started: Any) -> None:
    ticket = submitted()
    table.add(ticket)
    now = datetime.now(UTC)

    assert table.claim(ticket, sweeps=1, now=now)
    assert table.claim(ticket, sweeps=1, now=now) is None
