"""Writes of people to the tickets table: agents' changes and approvals, and customers' feedback."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from support.aws.ticket_items import SET_STATUS, ConditionFailedError, TicketItems, new_status
from support.domain.errors import TicketNotFound
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Feedback, Reply

if TYPE_CHECKING:
    from support.domain.change import Change


_HAS_VERSION = "attribute_exists(#status) AND version = :expected"


class TicketChanges(TicketItems):
    """What people write to tickets; feedback conflicts with neither agents nor the pipeline."""

    def change(self, ticket_id: str, change: Change, now: datetime) -> Ticket | None:
        """Make an agent's change; None when the ticket has a later version than the agent read."""
        fields = {name: value for name, value in change.values.items() if name != "status"}
        values = {name: value for name, value in fields.items() if value != ""}
        removed = [name for name, value in fields.items() if value == ""]
        try:
            return self._update(
                ticket_id,
                (f"{SET_STATUS}, " if change.status else "")
                + "".join(f"{name} = :{name}, " for name in values)
                + "updatedAt = :now"
                + (f" REMOVE {', '.join(removed)}" if removed else ""),
                condition=_HAS_VERSION,
                values={
                    **(new_status(ticket_id, change.status) if change.status else {}),
                    **{f":{name}": value for name, value in values.items()},
                    ":now": timestamp(now),
                    ":expected": change.version,
                },
                is_new_version=True,
            )
        except ConditionFailedError:
            return None

    def approve_reply(self, ticket_id: str, reply: Reply, *, version: int) -> Ticket | None:
        """Add or replace the approved reply; None when the ticket has a later version than the agent read."""
        try:
            return self._update(
                ticket_id,
                "reply = :reply, updatedAt = :now",
                condition=_HAS_VERSION,
                values={":reply": reply, ":now": reply["at"], ":expected": version},
                is_new_version=True,
            )
        except ConditionFailedError:
            return None

    def add_feedback(self, ticket_id: str, feedback: Feedback) -> Feedback | None:
        """Add a ticket's first feedback; None when it was added, else the feedback that already exists."""
        try:
            self._update(
                ticket_id,
                "feedback = :feedback, updatedAt = :now",
                condition="attribute_exists(#status) AND attribute_not_exists(feedback)",
                values={":feedback": feedback, ":now": feedback["givenAt"]},
            )
        except ConditionFailedError as failed:
            return failed.ticket().feedback
        return None

    def replace_feedback(self, ticket_id: str, feedback: Feedback) -> None:
        """Replace the feedback that has the same `givenAt`.

        Raises:
            TicketNotFound: the ticket or its feedback no longer exists.
        """
        try:
            self._update(
                ticket_id,
                "feedback = :feedback, updatedAt = :now",
                condition="attribute_exists(#status) AND feedback.givenAt = :givenAt",
                values={
                    ":feedback": feedback,
                    ":now": feedback["changedAt"],
                    ":givenAt": feedback["givenAt"],
                },
            )
        except ConditionFailedError as failed:
            raise TicketNotFound("The ticket is not in the table; it may have been deleted.") from failed
