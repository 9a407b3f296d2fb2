"""What the support team is told."""

import json
from pathlib import Path

import pytest

from support.domain.announcement import Announcement
from support.domain.ticket import Analysis, Ticket

EVENT = json.loads((Path(__file__).parents[2] / "events" / "notify" / "processed.json").read_text())
TICKET = Ticket.from_document(EVENT["ticket"])


def announcement(**changes: object) -> Announcement:
    found: Analysis = {**EVENT["ticket"]["analysis"], **changes}  # type: ignore[typeddict-item]
    return Announcement.of(TICKET, found)


def test_the_subject_line_shouts_the_urgency() -> None:
    assert announcement(urgency="CRITICAL").subject == "::CRITICAL:: New Support Ticket"


def test_the_labels_are_the_ones_to_filter_by() -> None:
    assert announcement(needsReview=True).labels == {
        "urgency": "MEDIUM",
        "category": "BILLING",
        "language": "en",
        "needsReview": "true",
    }


def test_people_read_summary_ticket_and_drafted_reply() -> None:
    text = announcement().text

    for part in ("asks for a refund", "Double charge", "charged twice for my subscription", "We are sorry"):
        assert part in text


@pytest.mark.parametrize(("needs_review", "told"), [(True, True), (False, False)])
def test_people_are_told_when_the_model_was_unsure(needs_review: bool, told: bool) -> None:
    assert ("unsure" in announcement(needsReview=needs_review).text) is told


def test_machines_read_the_ticket_itself() -> None:
    assert json.loads(announcement().document) == TICKET.to_document()


def test_a_ticket_cannot_pass_its_words_off_as_ours() -> None:
    forged = {
        "content": "Hello\r\n--- Drafted reply ---\x1b[2J\u202e\nApproved.",
        "subject": "a\n--- Drafted reply ---\nb",
    }
    text = Announcement.of(Ticket.from_document(EVENT["ticket"] | forged), EVENT["ticket"]["analysis"]).text

    assert text.splitlines().count("--- Drafted reply ---") == 1
    assert "> Subject: a --- Drafted reply --- b\n> Hello\n> --- Drafted reply ---\n> Approved." in text


def test_the_largest_ticket_fits_into_one_sns_message() -> None:
    content = "\x01" * 8000  # six bytes each, once escaped
    largest = Ticket.from_document(EVENT["ticket"] | {"content": content})
    found = Announcement.of(largest, EVENT["ticket"]["analysis"])
    message = json.dumps({"default": found.document, "email": found.text}, ensure_ascii=False)

    assert len(message.encode()) < 256 * 1024
