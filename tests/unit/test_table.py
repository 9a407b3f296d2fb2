"""The tickets table under repeats, races and faults, on moto's DynamoDB."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from support.aws import clients
from support.aws.table import TicketTable
from support.domain.errors import StoreRejected, TicketNotFound
from support.domain.ticket import Analysis, Failure, Status, Ticket, timestamp

NOW = datetime(2026, 1, 1, 12, 0, 9, tzinfo=UTC)
EVENTS = Path(__file__).parents[2] / "events"
ANALYSIS: Analysis = json.loads((EVENTS / "update" / "analysis.json").read_text())["ticket"]["analysis"]
FAILURE: Failure = {"error": "ModelRejected", "cause": "no access", "failedAt": "2026-01-01T12:00:07.000Z"}


@pytest.fixture
def table(aws: None) -> TicketTable:
    return TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])


@pytest.fixture
def ticket() -> Ticket:
    document = json.loads((EVENTS / "executions" / "billing.json").read_text())
    return Ticket.from_submission(document, now=NOW, retention_days=0)


def pending(index: str = "Pending") -> list[str]:
    items = boto3.client("dynamodb").scan(TableName=os.environ["TICKETS_TABLE"], IndexName=index)["Items"]
    return [item["ticketId"]["S"] for item in items]


def set_status(ticket: Ticket, status: Status) -> None:
    boto3.client("dynamodb").update_item(
        TableName=os.environ["TICKETS_TABLE"],
        Key={"ticketId": {"S": ticket.ticket_id}},
        UpdateExpression="SET #status = :status",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":status": {"S": status}},
    )


def test_a_stored_ticket_is_read_back_as_it_was(table: TicketTable, ticket: Ticket) -> None:
    assert table.store(ticket, NOW, execution="another") == ticket
    assert table.get(ticket.ticket_id) == ticket
    assert table.get("unknown") is None


def test_storing_again_returns_what_is_known_and_changes_nothing(table: TicketTable, ticket: Ticket) -> None:
    table.add(ticket)
    processed = table.record_analysis(ticket.ticket_id, ANALYSIS, execution="e", now=NOW)

    assert (
        table.store(replace(ticket, updated_at="2027-01-01T00:00:00.000Z"), NOW, execution="another")
        == processed
    )
    assert table.get(ticket.ticket_id) == processed


OTHER_SUBMISSIONS: list[dict[str, Any]] = [
    {"content": "Something else."},
    {"customer_id": "somebody-else"},
    {"subject": None},
    {"channel": "service"},
]


@pytest.mark.parametrize("other", OTHER_SUBMISSIONS)
def test_another_submission_under_a_used_id_is_stored_once_and_takes_nothing(
    table: TicketTable, ticket: Ticket, other: dict[str, Any]
) -> None:
    table.add(ticket)
    submitted = replace(ticket, **other)

    stored = table.store(submitted, NOW, execution="e-1")

    assert stored == replace(submitted, ticket_id=stored.ticket_id, idempotency_key=ticket.ticket_id)
    assert table.store(submitted, NOW, execution="e-2") == stored
    assert table.find(submitted) == stored
    assert table.find(ticket) == table.get(ticket.ticket_id) == ticket
    assert sorted(pending()) == sorted([ticket.ticket_id, stored.ticket_id])


def test_even_under_a_derived_id_nothing_is_overwritten(table: TicketTable, ticket: Ticket) -> None:
    submitted = replace(ticket, content="Something else.")
    squatter = replace(ticket, ticket_id=submitted.under_derived_id().ticket_id, content="Mine.")
    table.add(ticket)
    table.add(squatter)

    stored = table.store(submitted, NOW, execution="e")

    assert table.get(squatter.ticket_id) == squatter
    assert table.find(submitted) == stored
    assert stored.idempotency_key == ticket.ticket_id


def test_a_restart_of_a_ticket_under_a_derived_id_finds_it_again(table: TicketTable, ticket: Ticket) -> None:
    table.add(ticket)
    stored = table.store(replace(ticket, content="Something else."), NOW, execution="e")

    again = Ticket.from_submission(stored.to_submission(), now=NOW, retention_days=0)

    assert table.find_or_add(again) == (stored, False)


def test_a_failed_ticket_is_reopened_and_owes_its_work_again(table: TicketTable, ticket: Ticket) -> None:
    table.add(ticket)
    table.record_failure(ticket.ticket_id, FAILURE, execution="e")

    reopened = table.store(ticket, NOW, execution="another")

    assert (reopened.status, reopened.attempts, reopened.failure) == (Status.RECEIVED, 2, FAILURE)
    assert pending() == [ticket.ticket_id]


def test_a_late_repeat_of_the_execution_that_failed_reopens_nothing(
    table: TicketTable, ticket: Ticket
) -> None:
    table.add(ticket)
    failed = table.record_failure(ticket.ticket_id, FAILURE, execution="e")

    assert table.store(ticket, NOW, execution="e") == failed
    assert pending() == []


def test_every_write_is_a_version_of_its_own(table: TicketTable, ticket: Ticket) -> None:
    table.add(ticket)
    versions = [
        table.record_failure(ticket.ticket_id, FAILURE, execution="e"),
        table.store(ticket, NOW, execution="another"),
        table.record_analysis(ticket.ticket_id, ANALYSIS, execution="another", now=NOW),
        table.mark_announced(ticket.ticket_id, NOW),
    ]

    assert [written.version for written in versions if written] == [2, 3, 4, 5]


def test_a_ticket_is_pending_from_its_storing_to_its_announcement(table: TicketTable, ticket: Ticket) -> None:
    table.add(ticket)
    assert pending() == [ticket.ticket_id]
    table.record_analysis(ticket.ticket_id, ANALYSIS, execution="e", now=NOW)
    assert pending() == [ticket.ticket_id]
    announced = table.mark_announced(ticket.ticket_id, NOW)
    assert pending() == []
    assert announced.notified_at == "2026-01-01T12:00:09.000Z"


def test_a_failed_ticket_is_not_pending(table: TicketTable, ticket: Ticket) -> None:
    table.add(ticket)
    table.record_failure(ticket.ticket_id, FAILURE, execution="e")

    assert pending() == []


def test_the_first_analysis_stays(table: TicketTable, ticket: Ticket) -> None:
    table.add(ticket)
    first = table.record_analysis(ticket.ticket_id, ANALYSIS, execution="e", now=NOW)

    second = table.record_analysis(ticket.ticket_id, {**ANALYSIS, "urgency": "LOW"}, execution="e", now=NOW)

    assert second == first


@pytest.mark.parametrize("status", [Status.PROCESSED, Status.IN_PROGRESS, Status.COMPLETED])
def test_no_late_execution_overwrites_what_came_after_it(
    table: TicketTable, ticket: Ticket, status: Status
) -> None:
    table.add(ticket)
    table.record_analysis(ticket.ticket_id, ANALYSIS, execution="e", now=NOW)
    set_status(ticket, status)
    before = table.get(ticket.ticket_id)

    table.record_analysis(ticket.ticket_id, {**ANALYSIS, "urgency": "LOW"}, execution="e", now=NOW)
    table.record_failure(ticket.ticket_id, FAILURE, execution="e")
    table.add(ticket)

    assert table.get(ticket.ticket_id) == before


def test_a_success_replaces_the_failure_of_a_parallel_execution(table: TicketTable, ticket: Ticket) -> None:
    table.add(ticket)
    table.record_failure(ticket.ticket_id, FAILURE, execution="e")

    processed = table.record_analysis(ticket.ticket_id, ANALYSIS, execution="e", now=NOW)

    assert processed.status is Status.PROCESSED
    assert pending() == [ticket.ticket_id], "it is not announced yet"


def test_only_the_first_announcement_is_noted(table: TicketTable, ticket: Ticket) -> None:
    table.add(ticket)
    first = table.mark_announced(ticket.ticket_id, NOW)

    again = table.mark_announced(ticket.ticket_id, datetime(2027, 1, 1, tzinfo=UTC))

    assert again.notified_at == first.notified_at


def test_a_ticket_that_is_gone_is_told_apart_from_one_that_moved_on(table: TicketTable) -> None:
    with pytest.raises(TicketNotFound):
        table.record_analysis("gone", ANALYSIS, execution="e", now=NOW)
    with pytest.raises(TicketNotFound):
        table.mark_announced("gone", NOW)
    assert table.record_failure("gone", FAILURE, execution="e") is None


def test_numbers_come_back_as_the_numbers_they_were(table: TicketTable, ticket: Ticket) -> None:
    table.add(ticket)

    stored = table.record_analysis(
        ticket.ticket_id, {**ANALYSIS, "confidence": 0.1 + 0.2}, execution="e", now=NOW
    )

    assert stored.analysis is not None
    assert stored.analysis["confidence"] == 0.1 + 0.2
    assert isinstance(stored.analysis["model"]["inputTokens"], int)


def test_a_table_that_is_not_there_is_no_passing_fault(aws: None, ticket: Ticket) -> None:
    with pytest.raises(StoreRejected, match="ResourceNotFoundException"):
        TicketTable(clients.dynamodb(), "no-such-table").add(ticket)


def test_a_write_that_leaves_a_ticket_abandoned_does_not_stop_its_replay(
    table: TicketTable, ticket: Ticket
) -> None:
    table.add(ticket)
    seen = table.record_failure(ticket.ticket_id, FAILURE, execution="e")
    assert seen is not None
    table.add_feedback(ticket.ticket_id, {"rating": 1, "givenAt": timestamp(NOW)})

    reopened = table.reopen(seen, NOW)

    assert reopened is not None
    assert (reopened.status, reopened.attempts) == (Status.RECEIVED, 2)
    assert table.reopen(seen, NOW) is None, "somebody else has it"


def test_every_index_finds_tickets_by_its_key(table: TicketTable, ticket: Ticket) -> None:
    table.add(ticket)
    dynamodb: Any = boto3.client("dynamodb")

    def found(index: str, key: str, value: str) -> int:
        return int(
            dynamodb.query(
                TableName=os.environ["TICKETS_TABLE"],
                IndexName=index,
                KeyConditionExpression="#key = :value AND createdAt <= :now",
                ExpressionAttributeNames={"#key": key},
                ExpressionAttributeValues={":value": {"S": value}, ":now": {"S": "2026-12-31"}},
            )["Count"]
        )

    assert found("ByStatus", "status", "RECEIVED") == 1
    assert found("ByCustomer", "customerId", ticket.customer_id) == 1
