"""A ticket: how it is created, validated, identified and shown."""

import copy
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.domain.caller import parse_groups
from support.domain.errors import InvalidTicket
from support.domain.ticket import MAX_CONTENT, Ticket, timestamp
from support.domain.ticket_document import for_customer
from support.domain.ticket_types import Status

NOW = datetime(2026, 1, 1, 12, 0, 5, tzinfo=UTC)
EXECUTIONS = Path(__file__).parents[2] / "events" / "executions"


def execution_input(**changes: Any) -> dict[str, Any]:
    document = json.loads((EXECUTIONS / "billing.json").read_text())
    for path, value in changes.items():
        *parents, name = path.split("__")
        target = document
        for parent in parents:
            target = target[parent]
        target[name] = value
    return dict(document)


def received(document: dict[str, Any], retention_days: int = 0) -> Ticket:
    return Ticket.from_submission(document, now=NOW, retention_days=retention_days)


def test_a_submission_becomes_a_received_ticket_that_is_pending() -> None:
    ticket = received(execution_input())

    assert ticket.status is Status.RECEIVED
    assert ticket.created_at == "2026-01-01T12:00:00.000Z"
    assert ticket.pending_since == ticket.updated_at == "2026-01-01T12:00:05.000Z"
    assert (ticket.attempts, ticket.expires_at) == (1, None)


def test_a_ticket_expires_when_its_retention_is_over() -> None:
    ticket = received(execution_input(), retention_days=30)

    assert ticket.expires_at == (NOW + timedelta(days=30)).timestamp()


def test_a_customer_is_identified_by_the_tokens_subject_and_not_by_the_body() -> None:
    ticket = received(execution_input(request__customerId="somebody-else"))

    assert ticket.customer_id == execution_input()["caller"]["subject"]


@pytest.mark.parametrize(
    ("groups", "channel"), [("agents", "web"), ("[admins staff]", "web"), ("", "service")]
)
def test_callers_who_may_act_for_others_choose_the_customer(groups: str, channel: str) -> None:
    document = execution_input(request__customerId="customer-42", caller__groups=groups, channel=channel)

    assert received(document).customer_id == "customer-42"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ticketId": ""}, "ticketId"),
        ({"ticketId": 7}, "ticketId"),
        ({"ticketId": "x" * 65}, "ticketId"),
        *(({"ticketId": f"a{c}b"}, "ticketId") for c in ' #:"\né'),
        ({"receivedAt": "now"}, "receivedAt"),
        ({"receivedAt": True}, "receivedAt"),
        ({"receivedAt": 10**20}, "receivedAt"),
        ({"channel": None}, "channel"),
        ({"caller": None}, "caller"),
        ({"caller__subject": ""}, "caller.subject"),
        ({"request": []}, "request"),
        ({"request__content": ""}, "content"),
        ({"request__content": "x" * (MAX_CONTENT + 1)}, "content"),
        ({"request__content": ["x"]}, "content"),
        ({"request__subject": "x" * 201}, "subject"),
        ({"request__subject": 5}, "subject"),
        *(({"request__priority": value}, "priority") for value in ("normal", "HIGH", "", True, ["high"])),
    ],
)
def test_an_invalid_field_is_named_in_the_error(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidTicket, match=field):
        received(execution_input(**changes))


@pytest.mark.parametrize("field", ["ticketId", "receivedAt", "channel", "caller", "request"])
def test_a_missing_field_is_named_in_the_error(field: str) -> None:
    document = execution_input()
    del document[field]

    with pytest.raises(InvalidTicket, match=field):
        received(document)


def test_no_error_quotes_ticket_content() -> None:
    with pytest.raises(InvalidTicket) as caught:
        received(execution_input(request__content="secret " * 2000))

    assert "secret" not in str(caught.value)


def test_a_lone_surrogate_in_the_content_is_replaced() -> None:
    assert received(execution_input(request__content="a\ud800b")).content == "a\ufffdb"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_all_other_text_is_unchanged(text: str) -> None:
    ticket = received(execution_input(request__content=text, request__subject=text))

    assert (ticket.content, ticket.subject) == (text, text)
    assert Ticket.from_document(json.loads(json.dumps(ticket.to_document()))) == ticket


def test_a_document_has_the_fields_of_the_contract_that_have_a_value() -> None:
    document = received(execution_input()).to_document()

    assert set(document) == {
        "ticketId",
        "customerId",
        "content",
        "channel",
        "status",
        "createdAt",
        "updatedAt",
        "version",
        "attempts",
        "subject",
        "pendingSince",
    }


@pytest.mark.parametrize("broken", [{}, {"status": "LOST"}, {"status": "RECEIVED", "ticketId": "t"}])
def test_an_invalid_document_is_rejected(broken: dict[str, Any]) -> None:
    with pytest.raises(InvalidTicket):
        Ticket.from_document(broken)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ticketId", 7),
        ("status", "LOST"),
        ("content", None),
        ("subject", ["x"]),
        ("priority", 1),
        ("createdAt", "yesterday"),
        ("pendingSince", "2026-01-01T12:00:00"),
        ("attempts", "1"),
        ("version", True),
        ("failure", "ModelRejected"),
        ("reply", "Hello"),
        ("history", {}),
    ],
)
def test_an_invalid_field_of_a_document_is_named_in_the_error(name: str, value: object) -> None:
    with pytest.raises(InvalidTicket, match=name):
        Ticket.from_document(received(execution_input()).to_document() | {name: value})


def test_unknown_fields_of_a_document_are_ignored() -> None:
    ticket = received(execution_input())

    assert Ticket.from_document(ticket.to_document() | {"assignedTo": "x"}) == ticket


def test_a_repeated_submission_is_recognised() -> None:
    first = received(execution_input())
    again = received(execution_input(receivedAt=1767268900000))
    other = received(execution_input(request__content="Something else."))

    assert first.is_same_submission_as(again)
    assert not first.is_same_submission_as(other)


def test_a_ticket_keeps_its_priority_when_it_is_restarted() -> None:
    ticket = received(execution_input(request__priority="high"))

    assert ticket.priority == ticket.to_document()["priority"] == "high"
    assert received(ticket.to_submission()).priority == "high"
    assert "priority" not in received(execution_input()).to_submission()["request"]


def test_the_priority_is_not_part_of_a_submissions_identity() -> None:
    with_priority = received(execution_input(request__priority="high"))

    assert with_priority.is_same_submission_as(received(execution_input()))
    assert (
        with_priority.with_derived_id().ticket_id == received(execution_input()).with_derived_id().ticket_id
    )


def test_customers_do_not_see_a_tickets_priority() -> None:
    document = received(execution_input(request__priority="high")).to_document()

    assert for_customer(document) == {
        name: value for name, value in document.items() if name not in {"priority", "pendingSince"}
    }


def test_a_derived_id_depends_only_on_the_submission_and_is_not_an_idempotency_key() -> None:
    first, again = received(execution_input()), received(execution_input(receivedAt=1767268900000))
    other = received(execution_input(request__content="Something else."))

    derived = first.with_derived_id()

    assert derived.ticket_id == again.with_derived_id().ticket_id != other.with_derived_id().ticket_id
    assert re.fullmatch("[0-9a-f]{32}", derived.ticket_id), "an Idempotency-Key has hyphens"
    assert derived.idempotency_key == first.ticket_id
    assert derived.is_same_submission_as(first)


def test_a_ticket_keeps_its_derived_id_when_it_is_restarted() -> None:
    derived = received(execution_input()).with_derived_id()

    again = received(derived.to_submission())

    assert (again.ticket_id, again.idempotency_key) == (derived.ticket_id, derived.idempotency_key)
    assert again.is_same_submission_as(derived)


def test_timestamps_are_utc_and_sort_as_text() -> None:
    moments = [NOW, NOW + timedelta(milliseconds=1), NOW + timedelta(days=40)]

    assert timestamp(NOW) == "2026-01-01T12:00:05.000Z"
    assert sorted(map(timestamp, copy.copy(moments))) == [timestamp(moment) for moment in moments]


@pytest.mark.parametrize(
    ("claim", "groups"),
    [
        ("agents", {"agents"}),
        ("agents,admins", {"agents", "admins"}),
        ("[agents admins]", {"agents", "admins"}),
        ("[agents, admins]", {"agents", "admins"}),
        ("", set()),
        (None, set()),
        ("agents-of-others", {"agents-of-others"}),
    ],
)
def test_group_claims_are_parsed_in_every_format_of_api_gateway(claim: object, groups: set[str]) -> None:
    assert parse_groups(claim) == groups
