"""The reply to the customer: what the customer sees, and an agent's approval of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from support.domain.refusals import NotAnalysed, VersionConflict
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Reply


class ShowDrafts(StrEnum):
    """When customers see the model's draft: unless it needs review, or only once an agent has approved it."""

    CONFIDENT = "confident"
    APPROVED = "approved"


def shown_reply(ticket: Ticket, show_drafts: ShowDrafts) -> Reply | None:
    """The reply that the customer sees; None while there is none."""
    analysis = ticket.analysis
    if ticket.reply or analysis is None or analysis["needsReview"] or show_drafts is ShowDrafts.APPROVED:
        return ticket.reply
    return {"text": analysis["response"], "origin": "model", "at": analysis["generatedAt"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """An agent's approval: of the agent's own text or, without one, of the model's draft.

    `version` is the version that the agent read; `by` is the agent's `sub`.
    """

    version: int
    by: str
    text: str | None = None

    def reply_to(self, ticket: Ticket, now: datetime) -> Reply:
        """The approved reply to a ticket.

        Raises:
            VersionConflict, NotAnalysed
        """
        if self.version != ticket.version:
            raise VersionConflict
        if self.text is not None:
            return {"text": self.text, "origin": "agent", "at": timestamp(now), "approvedBy": self.by}
        if ticket.analysis is None:
            raise NotAnalysed("The model has not drafted a reply to the ticket: send your own as text.")
        draft = ticket.analysis["response"]
        return {"text": draft, "origin": "model", "at": timestamp(now), "approvedBy": self.by}
