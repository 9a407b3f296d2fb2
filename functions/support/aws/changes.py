"""What people write into the tickets table: agents their changes, customers their feedback."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from support.aws.ticket_items import ConditionFailedError, TicketItems
from support.domain.errors import TicketNotFound
from support.domain.ticket import Feedback, Ticket, timestamp

if TYPE_CHECKING:
    from support.domain.change import Change


class TicketChanges(TicketItems):
    """Changes by hand. Feedback conflicts neither with an agent's change nor with the pipeline."""

    def change(self, ticket_id: str, change: Change, now: datetime) -> Ticket | None:
        """Make an agent's change to the version that the agent read; None when there is a later one."""
        values = {name: value for name, value in change.values.items() if value != ""}
        removed = [name for name, value in change.values.items() if value == ""]
        places = {"status": "#status"}
        try:
            return self._update(
                ticket_id,
                "".join(f"{places.get(name, name)} = :{name}, " for name in values)
                + "updatedAt = :now"
                + (f" REMOVE {', '.join(removed)}" if removed else ""),
                condition="attribute_exists(#status) AND version = :seen",
                values={
                    **{f":{name}": value for name, value in values.items()},
                    ":now": timestamp(now),
                    ":seen": change.version,
                },
                is_new_version=True,
            )
        except ConditionFailedError:
            return None

    def add_feedback(self, ticket_id: str, feedback: Feedback) -> Feedback | None:
        """Add a ticket's first feedback: None when it was added, else the one that was there before."""
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
        """Put a ticket's changed feedback in the place of the one given at the same time.

        Raises:
            TicketNotFound: there is none such any more.
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
            raise TicketNotFound("The ticket is not in the table; was it deleted meanwhile?") from failed
