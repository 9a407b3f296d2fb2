"""The message and the labels with which a processed ticket is announced."""

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Self

from support.domain.ticket import Analysis, Ticket


@dataclass(frozen=True, slots=True)
class Announcement:
    """One message: `subject` line, `document` (the ticket as JSON), and `labels` to filter by.

    `subject` and `labels` hold only values from closed lists and a language tag, never ticket text. The label
    `mail` is `immediate` or `digest`.
    """

    subject: str
    document: str
    labels: dict[str, str]

    @classmethod
    def of(cls, ticket: Ticket, analysis: Analysis, immediate_urgencies: Collection[str]) -> Self:
        """The announcement of a processed ticket."""
        # Only the pipeline needs to know which execution is at work.
        announced = replace(ticket, leased_by=None, leased_until=None)
        is_immediate = analysis["urgency"] in immediate_urgencies or analysis["needsReview"]
        return cls(
            subject=subject_line(analysis),
            document=json.dumps(announced.to_document(), ensure_ascii=False),
            labels={
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
