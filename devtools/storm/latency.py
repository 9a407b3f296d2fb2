"""What the stored tickets say of a run: which have ended, and how long they took."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from devtools.load.pipeline import is_final

type Tickets = Mapping[str, Mapping[str, Any]]
"""Stored tickets by id, each with at least ATTRIBUTES."""

ATTRIBUTES = ("ticketId", "status", "notifiedAt", "failure")


def ended(tickets: Tickets, ids: Iterable[str]) -> int:
    """How many of these are announced, or FAILED."""
    return sum(_has_ended(tickets.get(ticket_id)) for ticket_id in ids)


def announced_at(tickets: Tickets, ids: Iterable[str]) -> dict[str, float]:
    """When each of these was announced, in seconds since the epoch; those that were not are left out."""
    return {
        ticket_id: datetime.fromisoformat(ticket["notifiedAt"]).timestamp()
        for ticket_id in ids
        if is_final(ticket := tickets.get(ticket_id)) and ticket
    }


def seconds_taken(tickets: Tickets, accepted: Mapping[str, float], ids: Iterable[str]) -> list[float]:
    """How long each of these took from its 202 to its announcement; those not announced are left out."""
    # A ticket may be announced before its sender has read the answer.
    return [max(0.0, at - accepted[ticket_id]) for ticket_id, at in announced_at(tickets, ids).items()]


def _has_ended(ticket: Mapping[str, Any] | None) -> bool:
    return is_final(ticket) or (ticket is not None and ticket["status"] == "FAILED")
