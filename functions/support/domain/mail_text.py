"""The mails to the support team, written for a phone: short lines, the most important ones first."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from support.domain.analysis_schema import URGENCIES
from support.domain.errors import InvalidTicket
from support.domain.notification import subject_line
from support.domain.notification_parser import parse_notification
from support.domain.plain_text import quoted, readable, readable_line, shortened
from support.domain.ticket import Ticket
from support.domain.ticket_types import Analysis

# The urgency of a message that contains no ticket.
UNREADABLE = "UNREADABLE"
# Limits that keep a mail far below SNS's 256 KB.
MAX_LISTED = 50
MAX_SUMMARY = 200
_ORDER = (UNREADABLE, *reversed(URGENCIES))
_REVIEW = """
Please check urgency, category and reply: the model was unsure,
or it used an address that is not in the ticket.
"""
_APPROVAL = """
The customer does not see the draft until an agent approves or edits it:
POST /tickets/{ticketId}/reply
"""


@dataclass(frozen=True, slots=True)
class Mail:
    """`subject` has fewer than 100 ASCII characters and contains only values of enums; `text` is the body."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One ticket in a mail about several."""

    urgency: str
    category: str
    needs_review: bool
    reply_waits: bool
    summary: str
    ticket_id: str

    @classmethod
    def of(cls, document: str) -> Self:
        """The entry for a notification's document; quotes the start of an unreadable document."""
        try:
            ticket, analysis = parse_notification(document)
        except InvalidTicket:
            quote = shortened(readable_line(document), MAX_SUMMARY)
            return cls(UNREADABLE, "OTHER", True, False, quote, "unknown")
        return cls(
            analysis["urgency"],
            analysis["category"],
            analysis["needsReview"],
            ticket.reply is None,
            shortened(readable_line(analysis["summary"]), MAX_SUMMARY),
            readable_line(ticket.ticket_id),
        )

    @property
    def text(self) -> str:
        """The entry in three lines."""
        review = ", please check" if self.needs_review else ""
        reply = ", reply waits" if self.reply_waits else ""
        return f"{self.urgency} {self.category}{review}{reply}\n{self.summary}\nTicket: {self.ticket_id}"


def immediate_mail(documents: Sequence[str]) -> Mail:
    """One mail about urgent notifications: a single ticket in full, several tickets as a list."""
    entries = _by_urgency(map(Entry.of, documents))
    if len(entries) == 1 and entries[0].urgency != UNREADABLE:
        return _full_mail(*parse_notification(documents[0]))
    return Mail(f"::{entries[0].urgency}:: New Support Tickets: {_counts(entries)}", _list(entries))


def digest_mail(entries: Iterable[Entry]) -> Mail:
    """One mail about all other notifications."""
    listed = _by_urgency(entries)
    return Mail(f"Support digest: {_counts(listed)}", _list(listed))


def _by_urgency(entries: Iterable[Entry]) -> list[Entry]:
    """The entries, the most urgent first, without duplicates: SQS may deliver a message twice."""
    return sorted(dict.fromkeys(entries), key=lambda entry: _ORDER.index(entry.urgency))


def _counts(entries: Sequence[Entry]) -> str:
    counts = Counter(entry.urgency for entry in entries)
    return ", ".join(f"{urgency} {count}" for urgency, count in counts.items())


def _list(entries: Sequence[Entry]) -> str:
    categories = Counter(entry.category for entry in entries).most_common()
    parts = [
        "\n".join(f"{category} {count}" for category, count in categories),
        *(entry.text for entry in entries[:MAX_LISTED]),
    ]
    if len(entries) > MAX_LISTED:
        parts.append(f"… and {len(entries) - MAX_LISTED} more: GET /tickets?status=PROCESSED")
    parts.append("Replies and full texts: GET /tickets/{ticketId}")
    if any(entry.reply_waits for entry in entries):
        parts.append("A reply that waits is not shown until it is approved: POST /tickets/{ticketId}/reply")
    return "\n\n".join(parts) + "\n"


def _full_mail(ticket: Ticket, analysis: Analysis) -> Mail:
    """The facts come first: below them, the model's and the customer's text cannot imitate them."""
    subject = f"Subject: {readable_line(ticket.subject)}\n" if ticket.subject else ""
    review = _REVIEW if analysis["needsReview"] else ""
    reply = ticket.reply
    text = f"""\
{readable_line(analysis["summary"])}

Urgency: {analysis["urgency"]}
Category: {analysis["category"]}
Ticket: {readable_line(ticket.ticket_id)}
Customer: {readable_line(ticket.customer_id)}
Received: {readable_line(ticket.created_at)}
Sentiment: {readable_line(analysis["sentiment"])}
Language: {readable_line(analysis["language"])}
Tags: {readable_line(", ".join(map(str, analysis["tags"])))}
Confidence: {analysis["confidence"]:.0%}
Reply: {"shown to the customer" if reply else "waits for approval"}
{review}{"" if reply else _APPROVAL}
--- {"Reply" if reply else "Drafted reply"} ---

{readable(reply["text"] if reply else analysis["response"])}

--- The customer wrote ---

{quoted(subject + ticket.content)}
"""
    return Mail(subject_line(analysis), text)
