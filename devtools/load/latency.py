"""What the stored tickets show: how many are finished, and how long they took."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from devtools.load.pipeline import is_notified

type Tickets = Mapping[str, Mapping[str, Any]]
"""Stored tickets by id, each with at least ATTRIBUTES."""

ATTRIBUTES = ("ticketId", "status", "notifiedAt", "failure")


def count_finished(tickets: Tickets, ids: Iterable[str]) -> int:
    """How many of these tickets have a notification or are FAILED."""
    return sum(_is_finished(tickets.get(ticket_id)) for ticket_id in ids)


def notified_at(tickets: Tickets, ids: Iterable[str]) -> dict[str, float]:
    """When each of these tickets was notified, in seconds since the epoch; the others are left out."""
    return {
        ticket_id: datetime.fromisoformat(ticket["notifiedAt"]).timestamp()
        for ticket_id in ids
        if is_notified(ticket := tickets.get(ticket_id)) and ticket
    }


def latencies(tickets: Tickets, accepted: Mapping[str, float], ids: Iterable[str]) -> list[float]:
    """The seconds from the 202 to the notification of each of these tickets that has one."""
    # The notification may be sent before the customer has read the response.
    return [max(0.0, at - accepted[ticket_id]) for ticket_id, at in notified_at(tickets, ids).items()]


def _is_finished(ticket: Mapping[str, Any] | None) -> bool:
    return is_notified(ticket) or (ticket is not None and ticket["status"] == "FAILED")
