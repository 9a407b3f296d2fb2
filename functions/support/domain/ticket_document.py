"""The document of a ticket: its fields in JSON, and who may see them."""

from collections.abc import Mapping
from typing import Any

from support.domain.errors import InvalidTicket
from support.domain.ticket_fields import field, is_time
from support.domain.ticket_types import Status

_REQUIRED = ("ticketId", "customerId", "channel", "status", "createdAt", "updatedAt")
_FIELDS_BY_TYPE: Mapping[type, tuple[str, ...]] = {
    str: (
        "content",
        "idempotencyKey",
        "subject",
        "priority",
        "urgency",
        "category",
        "assignee",
        "waitingFor",
        "leasedBy",
    ),
    int: ("version", "attempts", "expiresAt"),
    dict: ("analysis", "reply", "feedback", "failure", "dismissed"),
    list: ("history",),
}
_TIMES = ("createdAt", "updatedAt", "notifiedAt", "pendingSince", "waitingSince", "leasedUntil")
# Hidden from customers: internal processing, and how a service ranked the ticket.
_INTERNAL = (
    "priority",
    "history",
    "pendingSince",
    "waitingSince",
    "waitingFor",
    "leasedBy",
    "leasedUntil",
    "assignee",
    "dismissed",
)
# Hidden parts of fields that customers see: the model's draft (they see `reply`), who approved the reply, and
# AWS's error message.
_INTERNAL_PARTS = {"analysis": ("response",), "reply": ("approvedBy",), "failure": ("cause",)}


def require_valid(document: Mapping[str, Any]) -> None:
    """Check that the fields of a ticket's document or summary have the types that the code writes.

    Raises:
        InvalidTicket: a field is missing or has another type; the message names it.
    """
    for name in _REQUIRED:
        field(document, name, str)
    for expected_type, names in _FIELDS_BY_TYPE.items():
        for name in names:
            if document.get(name) is not None:
                field(document, name, expected_type)
    for name in _TIMES:
        if document.get(name) is not None and not is_time(document[name]):
            raise InvalidTicket(f"{name} is not a time.")
    if document["status"] not in Status:
        raise InvalidTicket("status is not one of a ticket's statuses.")


def for_customer(document: Mapping[str, Any]) -> dict[str, Any]:
    """A ticket's document or summary without what only staff may see."""
    return {
        name: _without(value, _INTERNAL_PARTS.get(name, ()))
        for name, value in document.items()
        if name not in _INTERNAL
    }


def _without(value: Any, hidden: tuple[str, ...]) -> Any:
    return {name: part for name, part in value.items() if name not in hidden} if hidden else value


def camel_case(name: str) -> str:
    """The field name of an attribute."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)
