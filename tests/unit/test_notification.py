"""The notification that the support team's tools receive."""

import json
from pathlib import Path

import pytest

from support.domain.notification import Notification
from support.domain.ticket import Ticket
from support.domain.ticket_types import Analysis

EVENT = json.loads((Path(__file__).parents[2] / "events" / "notify" / "processed.json").read_text())
TICKET = Ticket.from_document(EVENT["ticket"])


def notification(**changes: object) -> Notification:
    analysis: Analysis = {**EVENT["ticket"]["analysis"], **changes}  # type: ignore[typeddict-item]
    return Notification.of(TICKET, analysis, ["CRITICAL", "HIGH"])


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"urgency": "CRITICAL"}, "::CRITICAL:: New Support Ticket: BILLING"),
        ({"needsReview": True}, "::MEDIUM:: New Support Ticket: BILLING, please check"),
    ],
)
def test_the_subject_line_starts_with_the_urgency(changes: dict[str, object], subject: str) -> None:
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


def test_the_document_is_the_ticket() -> None:
    assert json.loads(notification().document) == TICKET.to_document()


def test_the_largest_ticket_fits_into_one_sns_message() -> None:
    content = "\x01" * 8000  # six bytes each, once escaped
    largest = Ticket.from_document(EVENT["ticket"] | {"content": content})
    largest_notification = Notification.of(largest, EVENT["ticket"]["analysis"], [])

    assert len(largest_notification.document.encode()) < 256 * 1024
