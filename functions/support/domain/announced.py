"""Reads announcements back, to make the mails from them."""

import json
from collections.abc import Mapping
from typing import Any

from support.domain.analysis import CATEGORIES, URGENCIES
from support.domain.errors import InvalidTicket
from support.domain.ticket import Analysis, Ticket

_TICKET = {"ticketId": str, "customerId": str, "content": str, "createdAt": str, "subject": str | None}
_ANALYSIS = {
    "urgency": str,
    "category": str,
    "sentiment": str,
    "language": str,
    "summary": str,
    "response": str,
    "tags": list,
    "confidence": int | float,
    "needsReview": bool,
}


def read(document: str) -> tuple[Ticket, Analysis]:
    """The ticket and its analysis in an announcement's document.

    Raises:
        InvalidTicket: it is something else, or its urgency or category is not in today's lists.
    """
    try:
        parsed = json.loads(document)
    except ValueError as error:
        raise InvalidTicket("The message is not JSON.") from error
    if not _has_form(parsed, _TICKET):
        raise InvalidTicket("The message is not a ticket.")
    ticket = Ticket.from_document(parsed)
    analysis = ticket.analysis
    if (
        analysis is None
        or not _has_form(analysis, _ANALYSIS)
        or analysis["urgency"] not in URGENCIES
        or analysis["category"] not in CATEGORIES
    ):
        raise InvalidTicket("The ticket has no complete analysis.")
    return ticket, analysis


def _has_form(value: Any, form: Mapping[str, Any]) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(value.get(name), kind) for name, kind in form.items()
    )
