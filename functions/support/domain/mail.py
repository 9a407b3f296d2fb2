"""The mails to the support team, to be read on a phone: short lines, and what matters most first."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from support.domain.analysis import URGENCIES
from support.domain.announced import read
from support.domain.announcement import subject_line
from support.domain.errors import InvalidTicket
from support.domain.plain_text import quoted, readable, readable_line, shortened
from support.domain.ticket import Analysis, Ticket

# Stands for the urgency of a message that holds no ticket.
UNREADABLE = "UNREADABLE"
# Keep a mail far below SNS's 256 KB.
MAX_LISTED = 50
MAX_SUMMARY = 200
_ORDER = (UNREADABLE, *reversed(URGENCIES))
_REVIEW = """
Please check urgency, category and reply: the model was unsure,
or it used an address that is not in the ticket.
"""


@dataclass(frozen=True, slots=True)
class Mail:
    """`subject` has fewer than 100 ASCII characters, all from closed lists; `text` is what people read."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What a mail about several tickets says about one."""

    urgency: str
    category: str
    needs_review: bool
    summary: str
    ticket_id: str

    @classmethod
    def of(cls, document: str) -> Self:
        """The entry for an announcement's document; an unreadable document is quoted in part."""
        try:
            ticket, analysis = read(document)
        except InvalidTicket:
            return cls(UNREADABLE, "OTHER", True, shortened(readable_line(document), MAX_SUMMARY), "unknown")
        return cls(
            analysis["urgency"],
            analysis["category"],
            analysis["needsReview"],
            shortened(readable_line(analysis["summary"]), MAX_SUMMARY),
            readable_line(ticket.ticket_id),
        )

    @property
    def text(self) -> str:
        """Three lines."""
        review = ", please check" if self.needs_review else ""
        return f"{self.urgency} {self.category}{review}\n{self.summary}\nTicket: {self.ticket_id}"


def immediate(documents: Sequence[str]) -> Mail:
    """One mail about announcements that cannot wait: a single ticket in full, several as a list."""
    entries = _in_order(map(Entry.of, documents))
    if len(entries) == 1 and entries[0].urgency != UNREADABLE:
        return _full(*read(documents[0]))
    return Mail(f"::{entries[0].urgency}:: New Support Tickets: {_counted(entries)}", _list(entries))


def digest(entries: Iterable[Entry]) -> Mail:
    """One mail about everything that could wait."""
    listed = _in_order(entries)
    return Mail(f"Support digest: {_counted(listed)}", _list(listed))


def _in_order(entries: Iterable[Entry]) -> list[Entry]:
    """The most urgent first, each once: a queue may deliver a message twice."""
    return sorted(dict.fromkeys(entries), key=lambda entry: _ORDER.index(entry.urgency))


def _counted(entries: Sequence[Entry]) -> str:
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
    return "\n\n".join(parts) + "\n"


def _full(ticket: Ticket, analysis: Analysis) -> Mail:
    """Facts first: nothing of ours follows what the model and the customer wrote, so they cannot forge it."""
    subject = f"Subject: {readable_line(ticket.subject)}\n" if ticket.subject else ""
    review = _REVIEW if analysis["needsReview"] else ""
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
{review}
--- Drafted reply ---

{readable(analysis["response"])}

--- The customer wrote ---

{quoted(subject + ticket.content)}
"""
    return Mail(subject_line(analysis), text)
