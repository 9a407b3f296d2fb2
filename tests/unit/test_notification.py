"""The notification that the support team's tools receive."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.domain.notification import Notification
from support.domain.reply import ShowDrafts
from support.domain.ticket import Ticket
from support.domain.ticket_types import Analysis

EVENT = json.loads((Path(__file__).parents[2] / "events" / "notify" / "processed.json").read_text())
TICKET = Ticket.from_document(EVENT["ticket"])


def notification(show_drafts: ShowDrafts = ShowDrafts.CONFIDENT, **changes: Any) -> Notification:
    analysis: Analysis = {**EVENT["ticket"]["analysis"], **changes}  # type: ignore[typeddict-item]
    return Notification.of(
        replace(TICKET, analysis=analysis),
        analysis,
        immediate_urgencies=["CRITICAL", "HIGH"],
        show_drafts=show_drafts,
    )


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"urgency": "CRITICAL"}, "::CRITICAL:: New Support Ticket: BILLING"),
        ({"needsReview": True}, "::MEDIUM:: New Support Ticket: BILLING, please check"),
    ],
)
def test_the_subject_line_starts_with_the_urgency(changes: dict[str, Any], subject: str) -> None:
    assert notification(**changes).subject == subject


def test_the_attributes_are_those_that_subscribers_filter_by() -> None:
    assert notification(needsReview=True).attributes == {
        "urgency": "MEDIUM",
        "category": "BILLING",
        "language": "en",
        "needsReview": "true",
        "mail": "immediate",
    }


@pytest.mark.parametrize(
    ("urgency", "needs_review", "mail"),
    [
        ("CRITICAL", False, "immediate"),
        ("HIGH", False, "immediate"),
        ("MEDIUM", False, "digest"),
        ("LOW", False, "digest"),
        ("LOW", True, "immediate"),
    ],
)
def test_urgent_tickets_and_tickets_to_review_are_mailed_immediately(
    urgency: str, needs_review: bool, mail: str
) -> None:
    assert notification(urgency=urgency, needsReview=needs_review).attributes["mail"] == mail


def test_the_document_is_the_ticket_with_the_reply_that_the_customer_sees() -> None:
    analysis = EVENT["ticket"]["analysis"]
    reply = {"text": analysis["response"], "origin": "model", "at": analysis["generatedAt"]}

    assert json.loads(notification().document) == TICKET.to_document() | {"reply": reply}


@pytest.mark.parametrize(
    ("show_drafts", "needs_review"), [(ShowDrafts.CONFIDENT, True), (ShowDrafts.APPROVED, False)]
)
def test_the_document_contains_no_reply_that_waits_for_approval(
    show_drafts: ShowDrafts, needs_review: bool
) -> None:
    assert "reply" not in json.loads(notification(show_drafts, needsReview=needs_review).document)


def test_the_largest_ticket_fits_into_one_sns_message() -> None:
    content = "\x01" * 8000  # six bytes each, once escaped
    largest = Ticket.from_document(EVENT["ticket"] | {"content": content})
    largest_notification = Notification.of(
        largest,
        EVENT["ticket"]["analysis"],
        immediate_urgencies=[],
        show_drafts=ShowDrafts.CONFIDENT,
    )

    assert len(largest_notification.document.encode()) < 256 * 1024
