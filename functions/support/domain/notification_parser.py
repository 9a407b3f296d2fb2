"""Parses notifications, which the mails are made from."""

import json
from collections.abc import Mapping
from typing import Any

from support.domain.analysis_schema import CATEGORIES, URGENCIES
from support.domain.errors import InvalidTicket
from support.domain.ticket import Ticket
from support.domain.ticket_types import Analysis

_TICKET_FIELDS = {"ticketId": str, "customerId": str, "content": str, "createdAt": str, "subject": str | None}
_REPLY_FIELDS = {"text": str, "origin": str, "at": str}
_ANALYSIS_FIELDS = {
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


def parse_notification(document: str) -> tuple[Ticket, Analysis]:
    """The ticket and its analysis in a notification's document.

    Raises:
        InvalidTicket: the document is not a notification, or its urgency or category no longer exists.
    """
    try:
        parsed = json.loads(document)
    except ValueError as error:
        raise InvalidTicket("The message is not JSON.") from error
    if not _has_fields(parsed, _TICKET_FIELDS):
        raise InvalidTicket("The message is not a ticket.")
    ticket = Ticket.from_document(parsed)
    analysis = ticket.analysis
    if (
        analysis is None
        or not _has_fields(analysis, _ANALYSIS_FIELDS)
        or analysis["urgency"] not in URGENCIES
        or analysis["category"] not in CATEGORIES
    ):
        raise InvalidTicket("The ticket has no complete analysis.")
    if ticket.reply is not None and not _has_fields(ticket.reply, _REPLY_FIELDS):
        raise InvalidTicket("The ticket has no complete reply.")
    return ticket, analysis


def _has_fields(value: Any, fields: Mapping[str, Any]) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(value.get(name), expected_type) for name, expected_type in fields.items()
    )
