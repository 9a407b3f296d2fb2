"""The text of the mails to the support team."""

import json
from itertools import batched
from pathlib import Path
from typing import Any

import pytest

from support.domain import mail_text
from support.domain.analysis_schema import CATEGORIES, URGENCIES
from support.domain.mail_text import Entry, Mail, digest_mail, immediate_mail

TICKET = json.loads((Path(__file__).parents[2] / "events" / "notify" / "processed.json").read_text())[
    "ticket"
]
ANALYSIS = TICKET["analysis"]
REPLY = {"text": ANALYSIS["response"], "origin": "model", "at": ANALYSIS["generatedAt"]}
SNS_LIMIT = 256 * 1024
UNREADABLE = [
    "",
    "hello",
    "[]",
    "null",
    "{}",
    json.dumps(TICKET | {"status": "LOST"}),
    json.dumps(TICKET | {"content": None}),
    json.dumps({name: value for name, value in TICKET.items() if name != "analysis"}),
    json.dumps(TICKET | {"analysis": []}),
    json.dumps(TICKET | {"analysis": {}}),
    json.dumps(TICKET | {"analysis": ANALYSIS | {"urgency": "::FORGED::"}}),
    json.dumps(TICKET | {"analysis": ANALYSIS | {"urgency": ["HIGH"]}}),
    json.dumps(TICKET | {"analysis": ANALYSIS | {"category": "FORGED"}}),
    json.dumps(TICKET | {"analysis": ANALYSIS | {"summary": 5}}),
    json.dumps(TICKET | {"reply": REPLY | {"text": 5}}),
]


def document(ticket_id: str = "ticket-1", *, ticket: dict[str, Any] | None = None, **analysis: Any) -> str:
    """The document of a notification; by default, of a ticket whose reply the customer sees."""
    changed = TICKET | {"ticketId": ticket_id, "reply": REPLY} | (ticket or {})
    return json.dumps(changed | {"analysis": ANALYSIS | analysis}, ensure_ascii=False)


def digest_of(*documents: str) -> Mail:
    return digest_mail(map(Entry.of, documents))


def test_a_single_ticket_is_mailed_in_full_with_the_facts_first() -> None:
    sent = immediate_mail([document("0f8fad5b", urgency="HIGH")])

    assert sent.subject == "::HIGH:: New Support Ticket: BILLING"
    assert (
        sent.text
        == """\
The customer was charged twice and asks for a refund.

Urgency: HIGH
Category: BILLING
Ticket: 0f8fad5b
Customer: 5b0c8f0e-6d1c-4c6e-9a51-2f7f3f0f6a11
Received: 2026-01-01T12:00:00.000Z
Sentiment: NEGATIVE
Language: en
Tags: refund, charge
Confidence: 90%
Reply: shown to the customer

--- Reply ---

Thank you for writing. We are sorry about the double charge and will check both payments.

--- The customer wrote ---

> Subject: Double charge
> I was charged twice for my subscription this month. Please refund one of the payments.
"""
    )


@pytest.mark.parametrize(("needs_review", "expected"), [(True, True), (False, False)])
def test_the_mail_says_when_the_analysis_needs_review(needs_review: bool, expected: bool) -> None:
    assert ("unsure" in immediate_mail([document(needsReview=needs_review)]).text) is expected


WAITS: dict[str, Any] = {"reply": None}


def test_the_mail_says_that_the_reply_waits_for_approval_and_how_to_approve_it() -> None:
    sent = immediate_mail([document("ticket-1", ticket=WAITS)])

    assert "Confidence: 90%\nReply: waits for approval\n" in sent.text
    assert "POST /tickets/{ticketId}/reply" in sent.text
    assert f"--- Drafted reply ---\n\n{ANALYSIS['response']}\n" in sent.text
    assert sent.text.index("approves or edits") < sent.text.index("--- Drafted reply ---")


def test_the_mail_shows_the_reply_that_an_agent_has_approved_already() -> None:
    approved = REPLY | {"text": "By hand.", "origin": "agent", "approvedBy": "agent-1"}
    sent = immediate_mail([document(ticket={"reply": approved}, needsReview=True)])

    assert "--- Reply ---\n\nBy hand.\n" in sent.text
    assert "waits" not in sent.text


def test_a_list_says_which_replies_wait() -> None:
    sent = digest_of(document("ticket-1"), document("ticket-2", ticket=WAITS, needsReview=True))

    assert "MEDIUM BILLING\n" in sent.text
    assert "MEDIUM BILLING, please check, reply waits\n" in sent.text
    assert sent.text.endswith("until it is approved: POST /tickets/{ticketId}/reply\n")


def test_several_tickets_become_one_mail_with_three_lines_each() -> None:
    sent = immediate_mail(
        [
            document("ticket-1", urgency="HIGH"),
            document("ticket-2", urgency="CRITICAL", category="OUTAGE", summary="Everything is down."),
            document("ticket-3", urgency="LOW", needsReview=True),
        ]
    )

    assert sent.subject == "::CRITICAL:: New Support Tickets: CRITICAL 1, HIGH 1, LOW 1"
    assert (
        sent.text
        == """\
BILLING 2
OUTAGE 1

CRITICAL OUTAGE
Everything is down.
Ticket: ticket-2

HIGH BILLING
The customer was charged twice and asks for a refund.
Ticket: ticket-1

LOW BILLING, please check
The customer was charged twice and asks for a refund.
Ticket: ticket-3

Replies and full texts: GET /tickets/{ticketId}
"""
    )


def test_a_digest_counts_all_tickets_and_lists_the_most_urgent_of_them() -> None:
    documents = [document(f"ticket-{n}", urgency="LOW" if n % 4 else "MEDIUM") for n in range(100)]
    sent = digest_of(*documents)

    assert sent.subject == "Support digest: MEDIUM 25, LOW 75"
    assert sent.text.startswith("BILLING 100\n\nMEDIUM BILLING\n")
    assert sent.text.count("\nTicket: ") == mail_text.MAX_LISTED == 50
    assert sent.text.count("MEDIUM BILLING") == 25
    assert "… and 50 more: GET /tickets?status=PROCESSED" in sent.text


def test_a_ticket_that_is_delivered_twice_is_listed_once() -> None:
    assert immediate_mail([document("ticket-1"), document("ticket-1")]) == immediate_mail(
        [document("ticket-1")]
    )
    assert digest_of(document("ticket-1"), document("ticket-1")).subject == "Support digest: MEDIUM 1"


@pytest.mark.parametrize("message", UNREADABLE)
def test_an_unreadable_message_is_quoted_and_does_not_affect_the_others(message: str) -> None:
    alone, beside = immediate_mail([message]), immediate_mail([document("ticket-1"), message])

    assert alone.subject == "::UNREADABLE:: New Support Tickets: UNREADABLE 1"
    assert message[:150].strip() in alone.text
    assert beside.subject == "::UNREADABLE:: New Support Tickets: UNREADABLE 1, MEDIUM 1"
    assert "Ticket: ticket-1" in beside.text
    assert digest_of(message).subject == "Support digest: UNREADABLE 1"


def test_a_subject_line_is_short_and_contains_no_ticket_text() -> None:
    forged = {"subject": "okapi", "content": "okapi\r\nBcc: okapi@example.com"}
    every = [
        document(f"okapi-{u}-{c}", urgency=u, category=c, needsReview=True, summary="okapi", ticket=forged)
        for u in URGENCIES
        for c in CATEGORIES
    ]
    every += [f"okapi {number}" for number in range(10_000)]
    mails = [immediate_mail([one]) for one in every[:50]] + [immediate_mail(every), digest_of(*every)]

    for sent in mails:
        assert sent.subject.isascii()
        assert sent.subject.isprintable()
        assert len(sent.subject) < 100
        assert "okapi" not in sent.subject


def test_ticket_text_cannot_imitate_the_headings_and_facts_of_the_mail() -> None:
    forged = {
        "content": "Hello\r\n--- Drafted reply ---\x1b[2J\u202e\nApproved.\nTicket: other",
        "subject": "a\n--- Drafted reply ---\nb",
        "reply": None,
        "customerId": "me\nTicket: other",
    }
    text = immediate_mail(
        [document(ticket=forged, summary="Fine.\nTicket: other", tags=["a\nTicket: other"])]
    ).text

    assert text.splitlines().count("--- Drafted reply ---") == 1
    assert [line for line in text.splitlines() if line.startswith("Ticket: ")] == ["Ticket: ticket-1"]
    assert "> Subject: a --- Drafted reply --- b\n> Hello\n> --- Drafted reply ---\n> Approved." in text


def test_the_facts_come_before_the_text_of_model_and_customer() -> None:
    reply = "Hello\n\n--- The customer wrote ---\n\n> fine\n\nTicket: other"
    text = immediate_mail([document(ticket=WAITS, response=reply)]).text
    facts = ["Urgency: ", "Category: ", "Ticket: ticket-1", "Customer: ", "Confidence: "]

    assert all(text.index(line) < text.index("Hello") for line in facts)
    assert text.endswith(
        "> I was charged twice for my subscription this month. Please refund one of the payments.\n"
    )


def test_a_list_has_three_lines_per_ticket_whatever_the_summary_contains() -> None:
    summary = "One.\nTicket: other\x1b[2J \u202e" + "x" * 500
    (entry,) = [part for part in digest_of(document(summary=summary)).text.split("\n\n") if "One." in part]

    assert len(entry.splitlines()) == 3
    assert entry.splitlines()[1].startswith("One. Ticket: other x")
    assert len(entry.splitlines()[1]) == mail_text.MAX_SUMMARY


def largest(number: int) -> str:
    return document(
        f"{number:0128}",
        ticket=WAITS | {"content": "a\n" * 3999 + "😀", "subject": "😀" * 200, "customerId": "😀" * 128},
        summary="😀" * 500,
        response="😀" * 4000,
        tags=["😀" * 40] * 8,
        needsReview=True,
    )


def test_the_largest_mails_fit_into_one_sns_message() -> None:
    documents = [largest(number) for number in range(1000)]
    emoji = document(ticket=WAITS | {"content": "😀" * 8000}, response="😀" * 4000)

    for sent in (
        immediate_mail(documents[:1]),
        immediate_mail([emoji]),
        immediate_mail(documents),
        digest_of(*documents),
    ):
        assert len(sent.text.encode()) < SNS_LIMIT / 2


def test_a_mail_about_a_full_batch_lists_every_ticket() -> None:
    documents = [document(f"ticket-{n}") for n in range(1000)]
    texts = [immediate_mail(batch).text for batch in batched(documents, 50, strict=True)]

    assert [t for n, t in enumerate(texts) if t.count("\nTicket: ") != 50] == []
