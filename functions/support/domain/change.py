"""An agent's change to a ticket, and the rules for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from support.domain.refusals import NotAnalysed, TransitionNotAllowed, VersionConflict
from support.domain.ticket import Ticket
from support.domain.ticket_types import Status

# The transitions that agents make; the pipeline makes all others.
TRANSITIONS = {Status.PROCESSED: Status.IN_PROGRESS, Status.IN_PROGRESS: Status.COMPLETED}
CHANGEABLE_FIELDS = ("status", "assignee", "urgency", "category")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """New values for the fields that are not None; `version` is the version that the agent read."""

    version: int
    status: Status | None = None
    assignee: str | None = None
    urgency: str | None = None
    category: str | None = None

    @property
    def values(self) -> Mapping[str, Any]:
        """The new values by field name."""
        return {name: value for name in CHANGEABLE_FIELDS if (value := getattr(self, name)) is not None}

    def corrections(self, ticket: Ticket) -> list[str]:
        """The fields that get another value than the model's."""
        model: Mapping[str, Any] = ticket.analysis or {}
        return [name for name in model.keys() & self.values.keys() if self.values[name] != model[name]]

    def require_allowed_for(self, ticket: Ticket) -> None:
        """Check that the ticket may be changed in this way.

        Raises:
            VersionConflict, TransitionNotAllowed, NotAnalysed
        """
        if self.version != ticket.version:
            raise VersionConflict
        next_status = TRANSITIONS.get(ticket.status)
        if self.status and self.status is not next_status:
            raise TransitionNotAllowed(
                f"The ticket is {ticket.status}; "
                + (
                    f"the next status is {next_status}."
                    if next_status
                    else "agents cannot change this status."
                )
            )
        if (self.urgency or self.category) and ticket.analysis is None:
            raise NotAnalysed("The model has not analysed the ticket: it has no urgency and no category yet.")
