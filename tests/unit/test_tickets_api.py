"""The ticket endpoints, invoked with the events of API Gateway."""

import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.api import app, context, problems
from support.aws import clients
from support.aws.changes import TicketChanges
from support.aws.table import TicketTable
from support.domain.plain_text import MAX_EXCERPT
from support.domain.reply import ShowDrafts
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Analysis, Feedback, Status
from tests.helpers.aws_clients import aws_client
from tests.helpers.lambda_context import lambda_context
from tests.helpers.metrics import recorded

UPDATE = json.loads((Path(__file__).parents[2] / "events" / "update" / "analysis.json").read_text())
ANALYSIS: Analysis = UPDATE["ticket"]["analysis"]
TICKET = replace(Ticket.from_document(UPDATE["ticket"]), analysis=None)
NOW = datetime.now(UTC)
ABSENT = "9f8fad5b-d9cb-469f-a165-70867728950e"

Messages = Callable[[], list[dict[str, Any]]]

CUSTOMER = {"sub": TICKET.customer_id}
STRANGER = {"sub": "somebody-else"}
AGENT = {"sub": "agent-1", "cognito:groups": "agents"}
ADMIN = {"sub": "admin-1", "cognito:groups": "[admins staff]"}


@dataclass(frozen=True)
class Response:
    status: int
    body: Any
    headers: Mapping[str, list[str]]

    @property
    def problem(self) -> str:
        assert self.headers["Content-Type"] == ["application/problem+json"]
        assert self.body["status"] == self.status
        assert self.body["detail"]
        return str(self.body["type"]).removeprefix("urn:support-pipeline:")


def call(
    method: str,
    path: str,
    claims: Mapping[str, str] | None,
    body: Any = None,
    query: Mapping[str, str] | None = None,
) -> Response:
    event = {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": {},
        "queryStringParameters": query,
        "body": body if isinstance(body, str | None) else json.dumps(body),
        "requestContext": {"authorizer": {"claims": claims} if claims is not None else {}, "requestId": "r"},
    }
    response = app.handler(event, lambda_context())
    return Response(response["statusCode"], json.loads(response["body"]), response["multiValueHeaders"])


@pytest.fixture
def table(aws: None) -> TicketTable:
    return TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])


@pytest.fixture
def changes(aws: None) -> TicketChanges:
    return TicketChanges(clients.dynamodb(), os.environ["TICKETS_TABLE"])


@pytest.fixture
def received(table: TicketTable) -> Ticket:
    table.add(TICKET)
    return TICKET


@pytest.fixture
def processed(table: TicketTable, received: Ticket) -> Ticket:
    return table.record_analysis(received.ticket_id, ANALYSIS, execution_name="e", now=NOW)


@pytest.fixture
def failed(table: TicketTable, received: Ticket) -> Ticket:
    failure = {
        "error": "ModelRejected",
        "cause": "arn:aws:iam::123456789012:role/x",
        "failedAt": timestamp(NOW),
    }
    ticket = table.record_failure(received.ticket_id, failure, execution_name="e", execution_arn="e", now=NOW)  # type: ignore[arg-type]
    assert ticket is not None
    return ticket


def path(ticket: Ticket | str = TICKET, rest: str = "") -> str:
    return f"/tickets/{ticket if isinstance(ticket, str) else ticket.ticket_id}{rest}"


# ---- Reading -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("claims", [AGENT, ADMIN])
def test_staff_see_the_whole_ticket(failed: Ticket, claims: dict[str, str]) -> None:
    response = call("GET", path(), claims)

    assert (response.status, response.body) == (200, failed.to_document())


def test_a_customer_sees_their_ticket_without_internals(failed: Ticket) -> None:
    response = call("GET", path(), CUSTOMER)

    assert response.status == 200
    assert response.body["content"] == TICKET.content
    assert response.body["failure"].keys() == {"error", "failedAt"}
    assert not response.body.keys() & {"history", "pendingSince", "leasedBy", "leasedUntil", "assignee"}


@pytest.mark.parametrize(
    "claims", [STRANGER, {"sub": "x", "cognito:groups": "customers"}, {"sub": ""}, {}, None]
)
def test_for_other_callers_a_ticket_looks_like_one_that_does_not_exist(
    processed: Ticket, claims: dict[str, str] | None
) -> None:
    response = call("GET", path(), claims)

    assert response == call("GET", path(ABSENT), claims)
    assert (response.status, response.problem) == (404, "not-found")


@pytest.mark.parametrize("ticket_id", ["x" * 65, "x" * 5000, "%00", "ü", "a/b", " ", "\ud800"])
def test_an_invalid_id_is_not_found(
    processed: Ticket, ticket_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("GET", path(ticket_id), AGENT).problem == "not-found"
    assert recorded(capsys.readouterr().out) == {"RequestsRefused Reason=NotFound": [1]}


# ---- Listing -----------------------------------------------------------------------------------------------


def listed(claims: Mapping[str, str], **query: str) -> list[str]:
    response = call("GET", "/tickets", claims, query=query)
    assert response.status == 200
    return [ticket["ticketId"] for ticket in response.body["tickets"]]


def test_customers_list_their_own_tickets_and_staff_list_all(table: TicketTable, processed: Ticket) -> None:
    table.add(replace(TICKET, ticket_id="other", customer_id="somebody-else"))

    assert listed(CUSTOMER) == [TICKET.ticket_id]
    assert listed(STRANGER) == ["other"]
    assert set(listed(AGENT)) == set(listed(ADMIN)) == {TICKET.ticket_id, "other"}


def test_a_customers_list_contains_neither_the_assignee_nor_the_draft(processed: Ticket) -> None:
    call("PATCH", path(), AGENT, {"version": processed.version, "assignee": "agent@example.com"})

    (own,) = call("GET", "/tickets", CUSTOMER).body["tickets"]
    (same,) = call("GET", "/tickets", AGENT).body["tickets"]

    assert (same["assignee"], same["analysis"]) == ("agent@example.com", ANALYSIS)
    del same["assignee"], same["analysis"]["response"]
    assert own == same


def test_a_listed_ticket_shows_the_beginning_of_the_content_but_not_the_rest(table: TicketTable) -> None:
    content = "  One\u202e\n\nline. " + "😀" * 200
    table.add(replace(TICKET, content=content))
    table.record_analysis(TICKET.ticket_id, ANALYSIS, execution_name="e", now=NOW)

    (summary,) = call("GET", "/tickets", AGENT).body["tickets"]
    (own,) = call("GET", "/tickets", CUSTOMER).body["tickets"]

    assert summary["excerpt"] == own["excerpt"] == "One line. " + "😀" * (MAX_EXCERPT - 11) + "…"
    assert summary["urgency"] == ANALYSIS["urgency"]
    assert summary["analysis"]["summary"] == ANALYSIS["summary"]
    assert not summary.keys() & {"content", "history", "failure", "feedback", "pendingSince"}


def test_all_listed_tickets_have_their_own_excerpts(table: TicketTable) -> None:
    for number in range(100):
        table.add(replace(TICKET, ticket_id=str(number), content=f"Number {number}"))

    tickets = call("GET", "/tickets", AGENT, query={"limit": "100"}).body["tickets"]

    assert len(tickets) == 100
    assert {ticket["excerpt"] for ticket in tickets} == {f"Number {ticket['ticketId']}" for ticket in tickets}


def test_a_ticket_that_is_deleted_while_it_is_listed_is_left_out(
    processed: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = clients.dynamodb()
    read_contents = client.batch_get_item

    def delete_first(**arguments: Any) -> Any:
        client.delete_item(
            TableName=os.environ["TICKETS_TABLE"], Key={"ticketId": {"S": processed.ticket_id}}
        )
        return read_contents(**arguments)

    monkeypatch.setattr(client, "batch_get_item", delete_first)

    assert call("GET", "/tickets", AGENT).body == {"tickets": []}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "DONE"),
        ("status", ""),
        ("urgency", "high"),
        ("category", "x" * 65),
        ("needsReview", "yes"),
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "٣"),
        ("limit", "1e1"),
        ("createdAfter", "yesterday"),
        ("createdBefore", "2026-01-01T00:00:00"),
        ("createdAfter", "0001-01-01T00:00:00+23:00"),
        ("cursor", "nonsense"),
        ("cursor", "e30="),
        ("cursor", "WzEsMl0="),
        ("cursor", "ü"),
    ],
)
def test_an_invalid_parameter_is_named(aws: None, name: str, value: str) -> None:
    response = call("GET", "/tickets", AGENT, query={name: value})

    assert (response.status, response.problem) == (400, "invalid-request")
    assert name in response.body["detail"]


# ---- Working on a ticket -----------------------------------------------------------------------------------


def test_an_agent_starts_and_completes_a_ticket(processed: Ticket) -> None:
    taken = call(
        "PATCH",
        path(),
        AGENT,
        {"version": processed.version, "status": "IN_PROGRESS", "assignee": "agent@example.com"},
    )
    done = call(
        "PATCH", path(), AGENT, {"version": taken.body["version"], "status": "COMPLETED", "assignee": ""}
    )

    assert (taken.body["status"], taken.body["assignee"]) == ("IN_PROGRESS", "agent@example.com")
    assert done.body["status"] == "COMPLETED"
    assert "assignee" not in done.body
    assert done.body["version"] == processed.version + 2
    assert done.body == call("GET", path(), AGENT).body


def test_invisible_characters_are_removed_from_assignees_and_comments(processed: Ticket) -> None:
    changed = call(
        "PATCH", path(), AGENT, {"version": processed.version, "assignee": " a\u001b[2J\nb\u202e "}
    )
    given = call("POST", path(rest="/feedback"), CUSTOMER, {"rating": 5, "comment": "so\u0000\nso "})

    assert changed.body["assignee"] == "a b"
    assert given.body["comment"] == "so\nso"


def test_a_correction_does_not_change_the_analysis(processed: Ticket) -> None:
    corrected = call(
        "PATCH", path(), ADMIN, {"version": processed.version, "urgency": "CRITICAL", "category": "SECURITY"}
    ).body

    assert (corrected["urgency"], corrected["category"]) == ("CRITICAL", "SECURITY")
    assert corrected["analysis"] == ANALYSIS
    assert listed(AGENT, urgency="CRITICAL", category="SECURITY") == [TICKET.ticket_id]
    assert listed(AGENT, urgency=ANALYSIS["urgency"]) == []


def test_only_one_of_two_agents_with_the_same_version_changes_the_ticket(processed: Ticket) -> None:
    first = call("PATCH", path(), AGENT, {"version": processed.version, "status": "IN_PROGRESS"})
    second = call("PATCH", path(), AGENT, {"version": processed.version, "assignee": "late@example.com"})

    assert (second.status, second.problem) == (409, "version-conflict")
    assert call("GET", path(), AGENT).body == first.body


def test_neither_feedback_nor_the_notification_conflicts_with_an_agents_change(
    table: TicketTable, processed: Ticket
) -> None:
    call("POST", path(rest="/feedback"), CUSTOMER, {"rating": 1})
    call("POST", path(rest="/feedback"), CUSTOMER, {"rating": 2})
    table.mark_notified(processed.ticket_id, NOW)

    response = call("PATCH", path(), AGENT, {"version": processed.version, "status": "IN_PROGRESS"})

    assert (response.status, response.body["feedback"]["rating"]) == (200, 2)
    assert response.body["notifiedAt"]


def test_a_change_between_read_and_write_is_a_conflict(
    processed: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another agent writes between read and write: the function reads the version before the stored one.
    call("PATCH", path(), AGENT, {"version": processed.version, "assignee": "quick@example.com"})
    monkeypatch.setattr(TicketTable, "get", lambda self, ticket_id: processed)

    response = call("PATCH", path(), AGENT, {"version": processed.version, "status": "IN_PROGRESS"})

    assert (response.status, response.problem) == (409, "version-conflict")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Status.PROCESSED, "COMPLETED"),
        (Status.IN_PROGRESS, "IN_PROGRESS"),
        (Status.COMPLETED, "IN_PROGRESS"),
        (Status.FAILED, "IN_PROGRESS"),
        (Status.RECEIVED, "COMPLETED"),
    ],
)
def test_only_the_next_status_is_allowed(table: TicketTable, before: Status, after: str) -> None:
    table.add(replace(TICKET, status=before))

    response = call("PATCH", path(), AGENT, {"version": 1, "status": after})

    assert (response.status, response.problem) == (409, "transition-not-allowed")
    assert before in response.body["detail"]


def test_a_ticket_without_analysis_cannot_be_corrected(received: Ticket) -> None:
    response = call("PATCH", path(), AGENT, {"version": 1, "urgency": "LOW"})

    assert (response.status, response.problem) == (409, "not-analysed")


@pytest.mark.parametrize("ticket_id", [TICKET.ticket_id, ABSENT])
def test_customers_may_not_change_tickets_whether_they_exist_or_not(
    processed: Ticket, ticket_id: str
) -> None:
    response = call("PATCH", path(ticket_id), CUSTOMER, {"version": 1, "status": "IN_PROGRESS"})

    assert (response.status, response.problem) == (403, "forbidden")


def test_a_ticket_that_does_not_exist_cannot_be_changed(aws: None) -> None:
    assert call("PATCH", path(ABSENT), AGENT, {"version": 1, "assignee": "x"}).problem == "not-found"


BAD_CHANGES: dict[str, tuple[Any, str]] = {
    "nothing": (None, "JSON"),
    "no JSON": ("{", "JSON"),
    "deep": ("[" * 100_000, "JSON"),
    "a list": ([], "object"),
    "null": ("null", "object"),
    "an empty object": ({}, "version is missing"),
    "a status without a version": ({"status": "COMPLETED"}, "version is missing"),
    "no version": ({"status": "IN_PROGRESS", "assignee": "x"}, "version is missing"),
    "only a version": ({"version": 1}, "status"),
    "a version of another kind": ({"version": True, "assignee": "x"}, "version"),
    "a broken version": ({"version": 1.5, "assignee": "x"}, "version"),
    "no number": ('{"version": NaN, "assignee": "x"}', "version"),
    "a huge version": ('{"version": 1' + "0" * 60 + ', "assignee": "x"}', "version"),
    "an unknown field": ({"version": 1, "content": "x"}, "content"),
    "an unknown status": ({"version": 1, "status": "DONE"}, "status must be one of IN_PROGRESS, COMPLETED."),
    "a status that agents cannot set": ({"version": 1, "status": "FAILED"}, "status"),
    "an unknown urgency": (
        {"version": 1, "urgency": "SOON"},
        "urgency must be one of LOW, MEDIUM, HIGH, CRITICAL.",
    ),
    "an unknown category": ({"version": 1, "category": "OTHERS"}, "category"),
    "a list for a text": ({"version": 1, "urgency": ["LOW"]}, "urgency"),
    "a long assignee": ({"version": 1, "assignee": "x" * 129}, "assignee"),
    "no assignee": ({"version": 1, "assignee": None}, "assignee"),
}


@pytest.mark.parametrize(("body", "detail"), BAD_CHANGES.values(), ids=BAD_CHANGES.keys())
def test_an_invalid_change_is_explained(processed: Ticket, body: Any, detail: str) -> None:
    response = call("PATCH", path(), AGENT, body)

    assert (response.status, response.problem) == (400, "invalid-request")
    assert detail in response.body["detail"]


def test_a_lone_surrogate_in_a_change_is_replaced(processed: Ticket) -> None:
    response = call("PATCH", path(), AGENT, {"version": processed.version, "assignee": "a\ud800"})

    assert response.body["assignee"] == "a\ufffd"


# ---- Replying ----------------------------------------------------------------------------------------------

TO_REVIEW: Analysis = {**ANALYSIS, "needsReview": True}
DRAFT = {"text": ANALYSIS["response"], "origin": "model", "at": ANALYSIS["generatedAt"]}
TEXT = "We have refunded one of the payments."


@pytest.fixture
def to_review(table: TicketTable, received: Ticket) -> Ticket:
    return table.record_analysis(received.ticket_id, TO_REVIEW, execution_name="e", now=NOW)


def reply(ticket: Ticket, claims: Mapping[str, str] = AGENT, **fields: Any) -> Response:
    return call("POST", path(ticket, "/reply"), claims, {"version": ticket.version} | fields)


def test_a_customer_sees_a_confident_draft_as_the_reply_and_in_no_other_place(processed: Ticket) -> None:
    own, same = (call("GET", path(), claims).body for claims in (CUSTOMER, AGENT))

    assert own["reply"] == same["reply"] == DRAFT
    assert "response" not in own["analysis"]
    assert same["analysis"] == ANALYSIS


@pytest.mark.parametrize(
    ("show_drafts", "analysis"),
    [
        (ShowDrafts.CONFIDENT, TO_REVIEW),
        (ShowDrafts.APPROVED, ANALYSIS),
        (ShowDrafts.APPROVED, TO_REVIEW),
        (ShowDrafts.CONFIDENT, None),
    ],
)
def test_a_customer_sees_no_draft_before_its_approval_if_it_has_to_wait(
    table: TicketTable,
    received: Ticket,
    monkeypatch: pytest.MonkeyPatch,
    show_drafts: ShowDrafts,
    analysis: Analysis | None,
) -> None:
    monkeypatch.setattr(context, "SHOW_DRAFTS", show_drafts)
    if analysis:
        table.record_analysis(received.ticket_id, analysis, execution_name="e", now=NOW)

    own, same = (call("GET", path(), claims).body for claims in (CUSTOMER, AGENT))
    listed_tickets = call("GET", "/tickets", CUSTOMER).body["tickets"]

    assert not {"reply"} & (own.keys() | same.keys())
    assert ANALYSIS["response"] not in json.dumps([own, listed_tickets])
    assert same.get("analysis") == analysis


def test_an_agent_approves_the_draft(to_review: Ticket) -> None:
    approved = reply(to_review)
    own = call("GET", path(), CUSTOMER).body

    assert approved.status == 200
    assert approved.body == call("GET", path(), AGENT).body
    assert approved.body["version"] == to_review.version + 1
    assert approved.body["status"] == "PROCESSED"
    assert (
        approved.body["reply"].items()
        >= {
            "text": ANALYSIS["response"],
            "origin": "model",
            "approvedBy": AGENT["sub"],
        }.items()
    )
    assert own["reply"] == {n: v for n, v in approved.body["reply"].items() if n != "approvedBy"}
    assert own["reply"].keys() == {"text", "origin", "at"}


def test_an_agents_own_text_is_kept_beside_the_models_draft(to_review: Ticket) -> None:
    replied = reply(to_review, ADMIN, text=f" {TEXT}\u0000\r\n\u202eBye. ").body

    assert replied["reply"]["text"] == f"{TEXT}\nBye."
    assert (replied["reply"]["origin"], replied["reply"]["approvedBy"]) == ("agent", ADMIN["sub"])
    assert replied["analysis"] == TO_REVIEW
    assert call("GET", path(), CUSTOMER).body["reply"]["text"] == f"{TEXT}\nBye."


def test_an_approved_reply_can_be_replaced_but_not_with_an_old_version(to_review: Ticket) -> None:
    first = reply(to_review)
    repeated = reply(to_review)
    corrected = call("POST", path(rest="/reply"), ADMIN, {"version": first.body["version"], "text": TEXT})

    assert (repeated.status, repeated.problem) == (409, "version-conflict")
    assert corrected.body["reply"]["text"] == call("GET", path(), CUSTOMER).body["reply"]["text"] == TEXT
    assert corrected.body["reply"]["approvedBy"] == ADMIN["sub"]


def test_an_approval_between_read_and_write_is_a_conflict(
    to_review: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply(to_review, text="quick")
    monkeypatch.setattr(TicketTable, "get", lambda self, ticket_id: to_review)

    response = reply(to_review, text="late")

    assert (response.status, response.problem) == (409, "version-conflict")


def test_a_later_change_and_feedback_do_not_change_the_reply(to_review: Ticket) -> None:
    approved = reply(to_review).body
    changed = call(
        "PATCH", path(), AGENT, {"version": approved["version"], "urgency": "LOW", "status": "IN_PROGRESS"}
    ).body
    call("POST", path(rest="/feedback"), CUSTOMER, {"rating": 5})

    assert changed["reply"] == call("GET", path(), AGENT).body["reply"] == approved["reply"]


def test_a_correction_of_the_model_does_not_show_a_draft_that_needs_review(to_review: Ticket) -> None:
    call("PATCH", path(), AGENT, {"version": to_review.version, "urgency": "LOW", "category": "OTHER"})

    assert "reply" not in call("GET", path(), CUSTOMER).body


def test_a_ticket_without_a_draft_can_be_replied_to_with_a_text_only(failed: Ticket) -> None:
    without = reply(failed)
    replied = reply(failed, text=TEXT)

    assert (without.status, without.problem) == (409, "not-analysed")
    assert "text" in without.body["detail"]
    assert replied.status == 200
    assert (replied.body["status"], replied.body["reply"]["text"]) == ("FAILED", TEXT)
    assert call("GET", path(), CUSTOMER).body["reply"]["text"] == TEXT


@pytest.mark.parametrize(
    ("claims", "ticket_id", "status"),
    [
        (CUSTOMER, TICKET.ticket_id, 403),
        (CUSTOMER, ABSENT, 403),
        (STRANGER, TICKET.ticket_id, 403),
        (AGENT, ABSENT, 404),
        (ADMIN, ABSENT, 404),
    ],
)
def test_only_staff_approve_replies(
    to_review: Ticket, claims: dict[str, str], ticket_id: str, status: int
) -> None:
    body = {"version": to_review.version}

    assert call("POST", path(ticket_id, "/reply"), claims, body).status == status
    assert "reply" not in call("GET", path(), CUSTOMER).body


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (None, "JSON"),
        ({}, "version is missing"),
        ({"version": 0}, "version"),
        ({"version": 1, "text": ""}, "text must be a string of 1 to 4000 characters."),
        ({"version": 1, "text": "x" * 4001}, "text"),
        ({"version": 1, "text": None}, "text"),
        ({"version": 1, "text": " \u200b\u0000 "}, "text"),
        ({"version": 1, "response": "x"}, "'response' is not allowed: the fields are version, text."),
    ],
)
def test_an_invalid_approval_is_explained(to_review: Ticket, body: Any, detail: str) -> None:
    response = call("POST", path(rest="/reply"), AGENT, body)

    assert (response.status, response.problem) == (400, "invalid-request")
    assert detail in response.body["detail"]


def test_only_corrections_of_the_models_values_are_counted(
    processed: Ticket, capsys: pytest.CaptureFixture[str]
) -> None:
    for version, urgency in enumerate((ANALYSIS["urgency"], "CRITICAL"), processed.version):
        assert call("PATCH", path(), AGENT, {"version": version, "urgency": urgency}).status == 200

    assert recorded(capsys.readouterr().out) == {"Corrections Field=urgency": [1]}


# ---- Feedback ----------------------------------------------------------------------------------------------


def test_a_customer_gives_feedback_and_changes_it(
    processed: Ticket, capsys: pytest.CaptureFixture[str]
) -> None:
    given = call("POST", path(rest="/feedback"), CUSTOMER, {"rating": 2, "comment": "Slow."})
    changed = call("POST", path(rest="/feedback"), CUSTOMER, {"rating": 5})

    assert (given.status, given.body["rating"], given.body["comment"]) == (201, 2, "Slow.")
    assert changed.status == 200
    assert changed.body.keys() == {"rating", "givenAt", "changedAt"}
    assert changed.body["givenAt"] == given.body["givenAt"]
    assert call("GET", path(), AGENT).body["feedback"] == changed.body
    assert recorded(capsys.readouterr().out) == {"FeedbackRating": [2, 5]}


@pytest.mark.parametrize(
    ("age", "status"), [(timedelta(days=7) - timedelta(minutes=1), 200), (timedelta(days=7, minutes=1), 409)]
)
def test_feedback_can_be_changed_for_seven_days(
    changes: TicketChanges, processed: Ticket, age: timedelta, status: int
) -> None:
    earlier: Feedback = {"rating": 1, "givenAt": timestamp(datetime.now(UTC) - age)}
    changes.add_feedback(processed.ticket_id, earlier)

    response = call("POST", path(rest="/feedback"), CUSTOMER, {"rating": 5})

    assert response.status == status
    stored = call("GET", path(), AGENT).body["feedback"]
    assert stored["rating"] == {200: 5, 409: 1}[status]
    if status == 409:
        assert response.problem == "feedback-closed"


def test_the_second_of_two_concurrent_feedbacks_replaces_the_first(
    changes: TicketChanges, processed: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    first: Feedback = {"rating": 1, "givenAt": timestamp(NOW - timedelta(seconds=1))}
    changes.add_feedback(processed.ticket_id, first)
    # The second call reads the ticket as it was before the first call wrote to it.
    monkeypatch.setattr(TicketTable, "get", lambda self, ticket_id: processed)

    second = call("POST", path(rest="/feedback"), CUSTOMER, {"rating": 4})

    assert (second.status, second.body["rating"], second.body["givenAt"]) == (200, 4, first["givenAt"])


@pytest.mark.parametrize(
    ("claims", "ticket_id", "status"),
    [
        (AGENT, TICKET.ticket_id, 403),
        (AGENT, ABSENT, 404),
        (STRANGER, TICKET.ticket_id, 404),
        (CUSTOMER, ABSENT, 404),
    ],
)
def test_only_the_tickets_customer_gives_feedback(
    processed: Ticket, claims: dict[str, str], ticket_id: str, status: int
) -> None:
    assert call("POST", path(ticket_id, "/feedback"), claims, {"rating": 3}).status == status


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"rating": 0},
        {"rating": 6},
        {"rating": "5"},
        {"rating": True},
        {"rating": 5, "comment": ""},
        {"rating": 5, "comment": "x" * 1001},
        {"rating": 5, "x": 1},
    ],
)
def test_invalid_feedback_is_refused(processed: Ticket, body: Any) -> None:
    assert call("POST", path(rest="/feedback"), CUSTOMER, body).problem == "invalid-request"


# ---- Replay ------------------------------------------------------------------------------------------------


def test_an_admin_replays_a_failed_ticket_once(failed: Ticket, waiting_messages: Messages) -> None:
    first = call("POST", path(rest="/replay"), ADMIN)
    second = call("POST", path(rest="/replay"), ADMIN)

    assert (first.status, first.body.keys()) == (202, {"message", "ticketId"})
    assert (second.status, second.problem) == (409, "nothing-to-replay")
    (message,) = waiting_messages()
    assert message["input"]["ticketId"] == TICKET.ticket_id
    assert call("GET", path(), AGENT).body["waitingFor"] == "Replay"


def test_a_ticket_with_priority_is_replayed_in_the_priority_queue_and_only_staff_see_the_priority(
    failed: Ticket, waiting_messages: Messages, waiting_priority_messages: Messages
) -> None:
    aws_client("dynamodb").update_item(
        TableName=os.environ["TICKETS_TABLE"],
        Key={"ticketId": {"S": TICKET.ticket_id}},
        UpdateExpression="SET priority = :high",
        ExpressionAttributeValues={":high": {"S": "high"}},
    )

    call("POST", path(rest="/replay"), ADMIN)

    assert (len(waiting_priority_messages()), waiting_messages()) == (1, [])
    assert call("GET", path(), AGENT).body["priority"] == "high"
    assert "priority" not in call("GET", path(), CUSTOMER).body


def test_staff_see_that_a_ticket_waits_and_customers_do_not(
    failed: Ticket, waiting_messages: Messages
) -> None:
    call("POST", path(rest="/replay"), ADMIN)

    assert {"waitingSince", "waitingFor"} <= call("GET", path(), AGENT).body.keys()
    assert not call("GET", path(), CUSTOMER).body.keys() & {"waitingSince", "waitingFor"}


def test_a_processed_ticket_is_not_replayed(processed: Ticket, waiting_messages: Messages) -> None:
    assert call("POST", path(rest="/replay"), ADMIN).problem == "nothing-to-replay"
    assert waiting_messages() == []


@pytest.mark.parametrize("claims", [CUSTOMER, AGENT, STRANGER])
@pytest.mark.parametrize("ticket_id", [TICKET.ticket_id, ABSENT])
def test_only_admins_replay(
    failed: Ticket, waiting_messages: Messages, claims: dict[str, str], ticket_id: str
) -> None:
    assert call("POST", path(ticket_id, "/replay"), claims).problem == "forbidden"
    assert waiting_messages() == []


def test_a_ticket_that_cannot_be_sent_to_the_waiting_room_can_still_be_replayed(failed: Ticket) -> None:
    # The queue does not exist.
    response = call("POST", path(rest="/replay"), ADMIN)

    assert (response.status, response.problem) == (503, "unavailable")
    assert call("GET", path(), AGENT).body["status"] == "FAILED"
    assert "waitingSince" not in call("GET", path(), AGENT).body


# ---- Every response ----------------------------------------------------------------------------------------


def unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    aws_client("dynamodb").delete_table(TableName=os.environ["TICKETS_TABLE"])


def defect(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("customer text")

    monkeypatch.setattr(TicketTable, "get", fail)


@pytest.mark.parametrize("broken", [unavailable, defect])
def test_a_fault_is_a_503_that_asks_for_a_retry_and_shows_no_details(
    aws: None, monkeypatch: pytest.MonkeyPatch, broken: Callable[[pytest.MonkeyPatch], None]
) -> None:
    broken(monkeypatch)

    response = call("GET", path(), CUSTOMER)

    assert (response.status, response.problem) == (503, "unavailable")
    assert response.headers["Retry-After"] == ["5"]
    assert "again" in response.body["detail"]
    assert "ResourceNotFound" not in json.dumps(response.body)
    assert "customer text" not in json.dumps(response.body)


@pytest.mark.parametrize(
    ("method", "at"),
    [("GET", "/tickets"), ("GET", "/tickets/x"), ("PATCH", "/tickets/x"), ("DELETE", "/tickets")],
)
def test_every_response_has_the_security_headers_and_the_allowed_origin(
    aws: None, method: str, at: str
) -> None:
    headers = call(method, at, CUSTOMER).headers

    assert {name: headers[name] for name in problems.HEADERS} == {n: [v] for n, v in problems.HEADERS.items()}
    assert headers["Access-Control-Allow-Origin"] == ["https://support.example.com"]


def test_the_log_says_who_did_what_and_contains_no_text(processed: Ticket, log: io.StringIO) -> None:
    call("PATCH", path(), AGENT, {"version": processed.version, "assignee": "secret-assignee"})
    reply(replace(processed, version=processed.version + 1), text="secret-reply")
    call("POST", path(rest="/feedback"), CUSTOMER, {"rating": 3, "comment": "secret-comment"})

    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    by_message = {line["message"]: line for line in lines}
    assert by_message["ticket changed"]["by"] == AGENT["sub"]
    assert by_message["ticket changed"]["fields"] == ["assignee"]
    assert by_message["reply approved"]["by"] == AGENT["sub"]
    assert by_message["reply approved"]["origin"] == "agent"
    assert by_message["feedback given"]["ticketId"] == TICKET.ticket_id
    assert by_message["feedback given"]["by"] == CUSTOMER["sub"]
    assert "secret" not in json.dumps(lines)
