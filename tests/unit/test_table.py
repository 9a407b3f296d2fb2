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
from support.aws.changes import TicketChanges
from support.aws.table import TicketTable
from support.domain.change import Change
from support.domain.errors import StoreRejected, TicketNotFound
from support.domain.ticket import Analysis, Failure, Feedback, Status, Ticket, timestamp

NOW = datetime(2026, 1, 1, 12, 0, 9, tzinfo=UTC)
EVENTS = Path(__file__).parents[2] / "events"
ANALYSIS: Analysis = json.loads((EVENTS / "update" / "analysis.json").read_text())["ticket"]["analysis"]
FAILURE: Failure = {"error": "ModelRejected", "cause": "no access", "failedAt": "2026-01-01T12:00:07.000Z"}
FEEDBACK: Feedback = {"rating": 1, "givenAt": "2026-01-01T12:00:08.000Z"}


@pytest.fixture
def table(aws: None) -> TicketTable:
    return TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])


@pytest.fixture
def changes(aws: None) -> TicketChanges:
    return TicketChanges(clients.dynamodb(), os.environ["TICKETS_TABLE"])


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


def test_a_version_counts_what_an_agent_has_to_see_before_a_change(
    table: TicketTable, changes: TicketChanges, ticket: Ticket
) -> None:
    table.add(ticket)
    failed = table.record_failure(ticket.ticket_id, FAILURE, execution="e")
    reopened = table.store(ticket, NOW, execution="another")
    processed = table.record_analysis(ticket.ticket_id, ANALYSIS, execution="another", now=NOW)
    changed = changes.change(ticket.ticket_id, Change(version=4, assignee="agent"), NOW)

    assert [one and one.version for one in (failed, reopened, processed, changed)] == [2, 3, 4, 5]


def test_feedback_and_the_pipelines_bookkeeping_are_no_version(
    table: TicketTable, changes: TicketChanges, ticket: Ticket
) -> None:
    table.add(ticket)
    processed = table.record_analysis(ticket.ticket_id, ANALYSIS, execution="e", now=NOW)

    claimed = table.claim(processed, sweeps=1, now=NOW)
    assert claimed is not None
    table.give_up(claimed, FAILURE)
    changes.add_feedback(ticket.ticket_id, FEEDBACK)
    changes.replace_feedback(ticket.ticket_id, {**FEEDBACK, "rating": 5, "changedAt": timestamp(NOW)})
    announced = table.mark_announced(ticket.ticket_id, NOW)

    assert announced.version == processed.version
    assert (announced.attempts, announced.feedback and announced.feedback["rating"]) == (2, 5)


def stuck(table: TicketTable, ticket: Ticket) -> Ticket:
    """A ticket whose execution vanished."""
    table.add(ticket)
    return ticket


def failed(table: TicketTable, ticket: Ticket) -> Ticket:
    table.add(ticket)
    return present(table.record_failure(ticket.ticket_id, FAILURE, execution="e"))


def processed(table: TicketTable, ticket: Ticket) -> Ticket:
    table.add(ticket)
    return table.record_analysis(ticket.ticket_id, ANALYSIS, execution="e", now=NOW)


def abandoned(table: TicketTable, ticket: Ticket) -> Ticket:
    """Processed, and given up unannounced."""
    return present(table.give_up(processed(table, ticket), FAILURE))


def present(ticket: Ticket | None) -> Ticket:
    assert ticket is not None
    return ticket


def claims(table: TicketTable, seen: Ticket) -> list[Ticket | None]:
    """What everybody who restarts tickets gets of one, as they saw it."""
    return [
        table.claim(seen, sweeps=1, now=NOW),
        table.claim(seen, sweeps=0, now=NOW),
        table.reopen(seen, NOW),
        table.give_up(seen, FAILURE),
    ]


@pytest.mark.parametrize("given", [stuck, failed, processed, abandoned])
def test_of_all_who_claim_a_ticket_one_gets_it_whatever_people_write_meanwhile(
    table: TicketTable, changes: TicketChanges, ticket: Ticket, given: Any
) -> None:
    seen = given(table, ticket)
    changes.add_feedback(ticket.ticket_id, FEEDBACK)
    changes.change(ticket.ticket_id, Change(version=seen.version, assignee="agent"), NOW)

    first, *others = claims(table, seen)

    assert first is not None
    assert (first.attempts, first.feedback, first.assignee) == (seen.attempts + 1, FEEDBACK, "agent")
    assert others == [None, None, None]


@pytest.mark.parametrize("given", [stuck, failed, processed, abandoned])
def test_a_claim_loses_to_a_success_that_came_between(table: TicketTable, ticket: Ticket, given: Any) -> None:
    seen = given(table, ticket)
    table.record_analysis(ticket.ticket_id, ANALYSIS, execution="late", now=NOW)
    announced = table.mark_announced(ticket.ticket_id, NOW)

    assert claims(table, seen) == [None] * 4
    assert table.get(ticket.ticket_id) == announced


@pytest.mark.parametrize("given", [stuck, failed])
def test_a_claim_loses_to_an_analysis_that_came_between(
    table: TicketTable, ticket: Ticket, given: Any
) -> None:
    seen = given(table, ticket)
    analysed = table.record_analysis(ticket.ticket_id, ANALYSIS, execution="late", now=NOW)

    assert claims(table, seen) == [None] * 4
    assert table.get(ticket.ticket_id) == analysed


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
