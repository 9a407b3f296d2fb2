"""The tickets table with repeats, races and faults, on moto's DynamoDB."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.aws import clients
from support.aws.changes import TicketChanges
from support.aws.index_keys import shard, status_shard
from support.aws.table import TicketTable
from support.domain.change import Change
from support.domain.errors import StoreRejected, TicketNotFound
from support.domain.execution import Execution
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Analysis, Failure, Feedback, Reply, Status
from tests.helpers.aws_clients import aws_client

NOW = datetime(2026, 1, 1, 12, 0, 9, tzinfo=UTC)
EVENTS = Path(__file__).parents[2] / "events"
ANALYSIS: Analysis = json.loads((EVENTS / "update" / "analysis.json").read_text())["ticket"]["analysis"]
FAILURE: Failure = {"error": "ModelRejected", "cause": "no access", "failedAt": "2026-01-01T12:00:07.000Z"}
REPLY: Reply = {"text": "Hello.", "origin": "agent", "at": "2026-01-01T12:00:08.000Z", "approvedBy": "a"}
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
    items = aws_client("dynamodb").scan(TableName=os.environ["TICKETS_TABLE"], IndexName=index)["Items"]
    return [item["ticketId"]["S"] for item in items]


def set_status(ticket: Ticket, status: Status) -> None:
    aws_client("dynamodb").update_item(
        TableName=os.environ["TICKETS_TABLE"],
        Key={"ticketId": {"S": ticket.ticket_id}},
        UpdateExpression="SET #status = :status",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":status": {"S": status}},
    )


def execution_of(
    execution: str, entered_at: str = "2026-01-01T12:00:00.000Z", predecessor: str | None = None
) -> Execution:
    return Execution(name=execution, arn=f"arn:{execution}", entered_at=entered_at, predecessor=predecessor)


def claimed(table: TicketTable, ticket: Ticket, execution: str = "e", now: datetime = NOW) -> Ticket:
    """The ticket, leased to an execution."""
    leased, is_claimed = table.claim(ticket, execution_of(execution), now)
    assert is_claimed
    return leased


def unleased(ticket: Ticket) -> Ticket:
    return replace(ticket, leased_by=None, leased_until=None)


def test_a_stored_ticket_is_read_back_unchanged(table: TicketTable, ticket: Ticket) -> None:
    stored = claimed(table, ticket)

    assert unleased(stored) == ticket
    assert table.get(ticket.ticket_id) == stored
    assert table.get("unknown") is None


# ---- Leases ------------------------------------------------------------------------------------------------

LATER = NOW + timedelta(minutes=1)
MUCH_LATER = NOW + timedelta(minutes=6)


def test_only_one_execution_at_a_time_holds_the_lease(table: TicketTable, ticket: Ticket) -> None:
    first = claimed(table, ticket, "first")

    assert table.claim(ticket, execution_of("second"), LATER) == (first, False)
    assert table.get(ticket.ticket_id) == first


def test_a_retry_of_store_keeps_the_lease_and_the_attempt(table: TicketTable, ticket: Ticket) -> None:
    claimed(table, ticket)
    again = claimed(table, ticket, now=LATER)

    assert (again.attempts, again.leased_until) == (1, timestamp(LATER + timedelta(minutes=5)))


def test_a_second_run_of_the_same_execution_does_not_get_the_lease(
    table: TicketTable, ticket: Ticket
) -> None:
    claimed(table, ticket)

    assert not table.claim(ticket, execution_of("e", entered_at="2026-01-01T12:00:00.001Z"), LATER)[1]


def test_a_lease_expires_when_its_execution_must_have_ended(table: TicketTable, ticket: Ticket) -> None:
    claimed(table, ticket, "first")

    second, is_claimed = table.claim(ticket, execution_of("second"), MUCH_LATER)

    assert (is_claimed, second.attempts) == (True, 2)


def test_an_execution_takes_over_the_lease_of_the_one_that_deferred_its_ticket(
    table: TicketTable, ticket: Ticket
) -> None:
    claimed(table, ticket, "first")

    second, is_claimed = table.claim(ticket, execution_of("second", predecessor="arn:first"), LATER)
    third = table.claim(ticket, execution_of("third", predecessor="arn:first"), LATER)

    assert (is_claimed, second.leased_by) == (True, execution_of("second").lease_holder)
    assert third == (second, False), "the message was delivered twice"


def test_a_notification_a_failure_and_a_deferral_end_the_lease(table: TicketTable, ticket: Ticket) -> None:
    ticket_id = ticket.ticket_id
    claimed(table, ticket)
    deferred = present(
        table.record_deferral(ticket_id, error="X", since=timestamp(NOW), execution_arn="arn:e", now=NOW)
    )
    claimed(table, ticket)
    failed = present(
        table.record_failure(ticket_id, FAILURE, execution_name="e", execution_arn="arn:e", now=NOW)
    )
    claimed(table, ticket, "other")
    notified = table.mark_notified(ticket_id, NOW)

    assert [one.leased_by for one in (deferred, failed, notified)] == [None] * 3


def test_an_execution_without_the_lease_cannot_fail_or_defer_the_ticket(
    table: TicketTable, ticket: Ticket
) -> None:
    first = claimed(table, ticket, "first")

    table.record_failure(
        ticket.ticket_id, FAILURE, execution_name="second", execution_arn="arn:second", now=LATER
    )
    table.record_deferral(
        ticket.ticket_id, error="X", since=timestamp(NOW), execution_arn="arn:second", now=LATER
    )

    assert table.get(ticket.ticket_id) == first


def test_a_notified_ticket_is_never_claimed_again(table: TicketTable, ticket: Ticket) -> None:
    claimed(table, ticket)
    notified = table.mark_notified(ticket.ticket_id, NOW)

    assert table.claim(ticket, execution_of("late"), MUCH_LATER) == (notified, False)


# ---- Waiting -----------------------------------------------------------------------------------------------


def test_a_deferred_ticket_waits_until_it_is_claimed_and_stays_pending(
    table: TicketTable, ticket: Ticket
) -> None:
    claimed(table, ticket)
    table.record_deferral(
        ticket.ticket_id, error="ModelThrottled", since=timestamp(NOW), execution_arn="arn:e", now=LATER
    )
    assert (pending(), pending("Waiting")) == ([ticket.ticket_id], [ticket.ticket_id])

    again = claimed(table, ticket, "again", LATER)

    assert (again.waiting_since, again.waiting_for, again.attempts) == (None, None, 2)
    assert (pending(), pending("Waiting")) == ([ticket.ticket_id], [])


def test_a_ticket_that_has_changed_is_not_marked_as_waiting(table: TicketTable, ticket: Ticket) -> None:
    table.add(ticket)
    marked = table.mark_waiting(ticket, reason="Replay", now=NOW)
    assert (present(marked).waiting_for, present(marked).needs_replay) == ("Replay", False)
    assert table.mark_waiting(ticket, reason="TicketStuck", now=LATER) is None

    claimed(table, ticket)

    assert table.mark_waiting(present(marked), reason="Replay", now=LATER) is None


# ---- Storing, failing, notifying ---------------------------------------------------------------------------


def test_a_repeated_claim_returns_the_stored_ticket(table: TicketTable, ticket: Ticket) -> None:
    table.add(ticket)
    processed = table.record_analysis(ticket.ticket_id, ANALYSIS, execution_name="e", now=NOW)

    again = claimed(table, replace(ticket, updated_at="2027-01-01T00:00:00.000Z"))

    assert (again.analysis, again.status) == (processed.analysis, Status.PROCESSED)


OTHER_SUBMISSIONS: list[dict[str, Any]] = [
    {"content": "Something else."},
    {"customer_id": "somebody-else"},
    {"subject": None},
    {"channel": "service"},
]


@pytest.mark.parametrize("other", OTHER_SUBMISSIONS)
def test_another_submission_with_a_used_id_is_stored_once_under_a_derived_id(
    table: TicketTable, ticket: Ticket, other: dict[str, Any]
) -> None:
    table.add(ticket)
    submitted = replace(ticket, **other)

    stored = claimed(table, submitted)

    assert unleased(stored) == replace(
        submitted, ticket_id=stored.ticket_id, idempotency_key=ticket.ticket_id
    )
    assert table.claim(submitted, execution_of("e-2"), NOW) == (stored, False)
    assert table.find(submitted) == stored
    assert table.find(ticket) == table.get(ticket.ticket_id) == ticket
    assert sorted(pending()) == sorted([ticket.ticket_id, stored.ticket_id])


def test_a_ticket_that_has_the_derived_id_is_not_overwritten(table: TicketTable, ticket: Ticket) -> None:
    submitted = replace(ticket, content="Something else.")
    squatter = replace(ticket, ticket_id=submitted.with_derived_id().ticket_id, content="Mine.")
    table.add(ticket)
    table.add(squatter)

    stored = claimed(table, submitted)

    assert table.get(squatter.ticket_id) == squatter
    assert table.find(submitted) == stored
    assert stored.idempotency_key == ticket.ticket_id


def test_a_restart_of_a_ticket_with_a_derived_id_finds_the_ticket(table: TicketTable, ticket: Ticket) -> None:
    table.add(ticket)
    stored = claimed(table, replace(ticket, content="Something else."))

    again = Ticket.from_submission(stored.to_submission(), now=NOW, retention_days=0)

    assert table.find_or_add(again) == (stored, False)


def test_a_failed_ticket_that_is_claimed_is_received_and_pending_again(
    table: TicketTable, ticket: Ticket
) -> None:
    table.add(ticket)
    table.record_failure(ticket.ticket_id, FAILURE, execution_name="e", execution_arn="e", now=NOW)

    reopened = claimed(table, ticket, "another")

    assert (reopened.status, reopened.attempts, reopened.failure) == (Status.RECEIVED, 2, FAILURE)
    assert pending() == [ticket.ticket_id]


def test_a_late_repeat_of_the_execution_that_failed_does_not_reopen_the_ticket(
    table: TicketTable, ticket: Ticket
) -> None:
    table.add(ticket)
    failed = table.record_failure(ticket.ticket_id, FAILURE, execution_name="e", execution_arn="e", now=NOW)

    assert table.claim(ticket, execution_of("e"), NOW) == (failed, False)
    assert pending() == []


def test_the_version_increases_with_changes_that_an_agent_must_see(
    table: TicketTable, changes: TicketChanges, ticket: Ticket
) -> None:
    table.add(ticket)
    failed = table.record_failure(ticket.ticket_id, FAILURE, execution_name="e", execution_arn="e", now=NOW)
    reopened = claimed(table, ticket, "another")
    processed = table.record_analysis(ticket.ticket_id, ANALYSIS, execution_name="another", now=NOW)
    changed = changes.change(ticket.ticket_id, Change(version=4, assignee="agent"), NOW)

    assert [one and one.version for one in (failed, reopened, processed, changed)] == [2, 3, 4, 5]


def test_feedback_and_internal_writes_do_not_change_the_version(
    table: TicketTable, changes: TicketChanges, ticket: Ticket
) -> None:
    table.add(ticket)
    processed = table.record_analysis(ticket.ticket_id, ANALYSIS, execution_name="e", now=NOW)

    claimed(table, ticket)
    table.record_failure(ticket.ticket_id, FAILURE, execution_name="e", execution_arn="arn:e", now=NOW)
    changes.add_feedback(ticket.ticket_id, FEEDBACK)
    changes.replace_feedback(ticket.ticket_id, {**FEEDBACK, "rating": 5, "changedAt": timestamp(NOW)})
    notified = table.mark_notified(ticket.ticket_id, NOW)

    assert notified.version == processed.version
    assert (notified.attempts, notified.feedback and notified.feedback["rating"]) == (2, 5)


def present(ticket: Ticket | None) -> Ticket:
    assert ticket is not None
    return ticket


@pytest.mark.parametrize("status", [Status.RECEIVED, Status.FAILED, Status.PROCESSED])
def test_one_of_many_claims_succeeds_despite_changes_by_people(
    table: TicketTable, changes: TicketChanges, ticket: Ticket, status: Status
) -> None:
    table.add(ticket)
    set_status(ticket, status)
    changes.add_feedback(ticket.ticket_id, FEEDBACK)
    changes.change(ticket.ticket_id, Change(version=1, assignee="agent"), NOW)

    # The claims run one after another, but each write is conditional; make storm tests concurrent claims.
    claims = [table.claim(ticket, execution_of(f"e-{number}"), NOW) for number in range(4)]

    (owner,) = [claim for claim, is_claimed in claims if is_claimed]
    assert (owner.attempts, owner.feedback, owner.assignee) == (2, FEEDBACK, "agent")


def test_a_ticket_is_pending_from_its_storage_to_its_notification(table: TicketTable, ticket: Ticket) -> None:
    table.add(ticket)
    assert pending() == [ticket.ticket_id]
    table.record_analysis(ticket.ticket_id, ANALYSIS, execution_name="e", now=NOW)
    assert pending() == [ticket.ticket_id]
    notified = table.mark_notified(ticket.ticket_id, NOW)
    assert pending() == []
    assert notified.notified_at == "2026-01-01T12:00:09.000Z"


def test_a_failed_ticket_is_not_pending(table: TicketTable, ticket: Ticket) -> None:
    table.add(ticket)
    table.record_failure(ticket.ticket_id, FAILURE, execution_name="e", execution_arn="e", now=NOW)

    assert pending() == []


def test_the_first_analysis_is_kept(table: TicketTable, ticket: Ticket) -> None:
    table.add(ticket)
    first = table.record_analysis(ticket.ticket_id, ANALYSIS, execution_name="e", now=NOW)

    second = table.record_analysis(
        ticket.ticket_id, {**ANALYSIS, "urgency": "LOW"}, execution_name="e", now=NOW
    )

    assert second == first


@pytest.mark.parametrize("status", [Status.PROCESSED, Status.IN_PROGRESS, Status.COMPLETED])
def test_a_late_execution_does_not_overwrite_a_later_status(
    table: TicketTable, ticket: Ticket, status: Status
) -> None:
    claimed(table, ticket, "owner")
    table.record_analysis(ticket.ticket_id, ANALYSIS, execution_name="e", now=NOW)
    set_status(ticket, status)
    before = table.get(ticket.ticket_id)

    table.record_analysis(ticket.ticket_id, {**ANALYSIS, "urgency": "LOW"}, execution_name="e", now=NOW)
    table.record_failure(ticket.ticket_id, FAILURE, execution_name="e", execution_arn="e", now=NOW)
    table.add(ticket)

    assert table.get(ticket.ticket_id) == before


def test_a_success_replaces_the_failure_of_a_parallel_execution(table: TicketTable, ticket: Ticket) -> None:
    table.add(ticket)
    table.record_failure(ticket.ticket_id, FAILURE, execution_name="e", execution_arn="e", now=NOW)

    processed = table.record_analysis(ticket.ticket_id, ANALYSIS, execution_name="e", now=NOW)

    assert processed.status is Status.PROCESSED
    assert pending() == [ticket.ticket_id], "the team is not notified yet"


def test_neither_a_replay_nor_an_analysis_loses_an_approved_reply(
    table: TicketTable, changes: TicketChanges, ticket: Ticket
) -> None:
    claimed(table, ticket, "first")
    failed = table.record_failure(
        ticket.ticket_id, FAILURE, execution_name="first", execution_arn="arn:first", now=NOW
    )
    assert failed is not None
    assert changes.approve_reply(ticket.ticket_id, REPLY, version=failed.version)

    replayed = claimed(table, ticket, "replay", MUCH_LATER)
    processed = table.record_analysis(ticket.ticket_id, ANALYSIS, execution_name="replay", now=MUCH_LATER)
    notified = table.mark_notified(ticket.ticket_id, MUCH_LATER)

    assert replayed.reply == processed.reply == notified.reply == REPLY


def test_an_approval_of_another_version_or_of_a_deleted_ticket_stores_nothing(
    table: TicketTable, changes: TicketChanges, ticket: Ticket
) -> None:
    table.add(ticket)

    assert changes.approve_reply(ticket.ticket_id, REPLY, version=ticket.version + 1) is None
    assert changes.approve_reply("gone", REPLY, version=1) is None
    assert table.get(ticket.ticket_id) == ticket
    assert table.get("gone") is None


def test_the_time_of_the_first_notification_is_kept(table: TicketTable, ticket: Ticket) -> None:
    table.add(ticket)
    first = table.mark_notified(ticket.ticket_id, NOW)

    again = table.mark_notified(ticket.ticket_id, datetime(2027, 1, 1, tzinfo=UTC))

    assert again.notified_at == first.notified_at


def test_a_write_to_a_deleted_ticket_reports_that_it_does_not_exist(table: TicketTable) -> None:
    with pytest.raises(TicketNotFound):
        table.record_analysis("gone", ANALYSIS, execution_name="e", now=NOW)
    with pytest.raises(TicketNotFound):
        table.mark_notified("gone", NOW)
    assert table.record_failure("gone", FAILURE, execution_name="e", execution_arn="e", now=NOW) is None


def test_numbers_are_read_back_unchanged(table: TicketTable, ticket: Ticket) -> None:
    table.add(ticket)

    stored = table.record_analysis(
        ticket.ticket_id, {**ANALYSIS, "confidence": 0.1 + 0.2}, execution_name="e", now=NOW
    )

    assert stored.analysis is not None
    assert stored.analysis["confidence"] == 0.1 + 0.2
    assert isinstance(stored.analysis["model"]["inputTokens"], int)


def test_a_missing_table_is_a_permanent_error(aws: None, ticket: Ticket) -> None:
    with pytest.raises(StoreRejected, match="ResourceNotFoundException"):
        TicketTable(clients.dynamodb(), "no-such-table").add(ticket)


def test_every_index_finds_tickets_by_its_key(table: TicketTable, ticket: Ticket) -> None:
    table.add(ticket)
    dynamodb: Any = aws_client("dynamodb")

    def count(index: str, key: str, value: str) -> int:
        return int(
            dynamodb.query(
                TableName=os.environ["TICKETS_TABLE"],
                IndexName=index,
                KeyConditionExpression="#key = :value AND createdAt <= :now",
                ExpressionAttributeNames={"#key": key},
                ExpressionAttributeValues={":value": {"S": value}, ":now": {"S": "2026-12-31"}},
            )["Count"]
        )

    assert count("ByTime", "shard", shard(ticket.ticket_id)) == 1
    assert count("ByStatus", "statusShard", status_shard(Status.RECEIVED, ticket.ticket_id)) == 1
    assert count("ByCustomer", "customerId", ticket.customer_id) == 1
