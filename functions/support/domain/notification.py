"""The notification of the support team about a processed ticket."""

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Self

from support.domain.reply import ShowDrafts, shown_reply
from support.domain.ticket import Ticket
from support.domain.ticket_types import Analysis


@dataclass(frozen=True, slots=True)
class Notification:
    """One SNS message: a `subject` line, a `document` (the ticket as JSON), and `attributes` to filter by.

    `subject` and `attributes` contain only values of enums and a language tag, never ticket text. The
    attribute `mail` is `immediate` or `digest`.
    """

    subject: str
    document: str
    attributes: dict[str, str]

    @classmethod
    def of(
        cls,
        ticket: Ticket,
        analysis: Analysis,
        *,
        immediate_urgencies: Collection[str],
        show_drafts: ShowDrafts,
    ) -> Self:
        """The notification about a processed ticket, with the reply that the customer sees."""
        # The lease is internal to the pipeline.
        published = replace(ticket, reply=shown_reply(ticket, show_drafts), leased_by=None, leased_until=None)
        is_immediate = analysis["urgency"] in immediate_urgencies or analysis["needsReview"]
        return cls(
            subject=subject_line(analysis),
            document=json.dumps(published.to_document(), ensure_ascii=False),
            attributes={
                "urgency": analysis["urgency"],
                "category": analysis["category"],
                "language": analysis["language"],
                "needsReview": str(analysis["needsReview"]).lower(),
                "mail": "immediate" if is_immediate else "digest",
            },
        )


def subject_line(analysis: Analysis) -> str:
    """The subject line of a message about one ticket."""
    review = ", please check" if analysis["needsReview"] else ""
    return f"::{analysis['urgency']}:: New Support Ticket: {analysis['category']}{review}"
