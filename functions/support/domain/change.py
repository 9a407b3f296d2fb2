"""What an agent changes about a ticket."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from support.domain.analysis import CATEGORIES, URGENCIES
from support.domain.plain_text import readable_line
from support.domain.refusals import InvalidRequest, NotAnalysed, TransitionNotAllowed, VersionConflict
from support.domain.request_fields import one_of, parse_object, text, whole_number
from support.domain.ticket import MAX_VERSION, Status, Ticket

MAX_ASSIGNEE = 128

# What follows on what, by an agent's hand; the other statuses are the pipeline's.
TRANSITIONS = {Status.PROCESSED: Status.IN_PROGRESS, Status.IN_PROGRESS: Status.COMPLETED}
_FIELDS = ("status", "assignee", "urgency", "category")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """New values for the fields that are not None, for the `version` of the ticket that was read."""

    version: int
    status: Status | None = None
    assignee: str | None = None
    urgency: str | None = None
    category: str | None = None

    @classmethod
    def from_body(cls, body: str | None) -> Self:
        """The change that a request's body describes.

        Raises:
            InvalidRequest: it is none; the message names the field.
        """
        document = parse_object(body, ("version", *_FIELDS))
        if len(document) < 2:
            raise InvalidRequest(f"Send the version and at least one of {', '.join(_FIELDS)}.")
        status = one_of(document, "status", [status.value for status in TRANSITIONS.values()])
        return cls(
            version=whole_number(document, "version", 1, MAX_VERSION),
            status=Status(status) if status else None,
            assignee=_name(text(document, "assignee", 0, MAX_ASSIGNEE)),
            urgency=one_of(document, "urgency", URGENCIES),
            category=one_of(document, "category", CATEGORIES),
        )

    @property
    def values(self) -> Mapping[str, Any]:
        """The new values, by the field's name."""
        return {name: value for name in _FIELDS if (value := getattr(self, name)) is not None}

    def require_allowed_for(self, ticket: Ticket) -> None:
        """Make sure that the ticket can be changed so.

        Raises:
            VersionConflict, TransitionNotAllowed, NotAnalysed
        """
        if self.version != ticket.version:
            raise VersionConflict
        if self.status and TRANSITIONS.get(ticket.status) is not self.status:
            after = TRANSITIONS.get(ticket.status)
            raise TransitionNotAllowed(
                f"The ticket is {ticket.status}; "
                + (f"the next status is {after}." if after else "agents cannot change that.")
            )
        if (self.urgency or self.category) and ticket.analysis is None:
            raise NotAnalysed("Only a ticket that the model has analysed has an urgency and a category.")


def _name(assignee: str | None) -> str | None:
    # It stands in lists beside others' names.
    return None if assignee is None else readable_line(assignee)
