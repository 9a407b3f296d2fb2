"""The words and labels with which a ticket is announced to the support team."""

import json
from dataclasses import dataclass
from typing import Self

from support.domain.ticket import Analysis, Ticket


@dataclass(frozen=True, slots=True)
class Announcement:
    """One message: `subject` line and readable `text` for people; `document` (JSON), `labels` for machines.

    `subject` and `labels` hold only values from closed lists and a language tag, never ticket text.
    """

    subject: str
    text: str
    document: str
    labels: dict[str, str]

    @classmethod
    def of(cls, ticket: Ticket, analysis: Analysis) -> Self:
        """The announcement of a processed ticket."""
        return cls(
            subject=f"::{analysis['urgency']}:: New Support Ticket",
            text=_readable(ticket, analysis),
            document=json.dumps(ticket.to_document(), ensure_ascii=False),
            labels={
                "urgency": analysis["urgency"],
                "category": analysis["category"],
                "language": analysis["language"],
                "needsReview": str(analysis["needsReview"]).lower(),
            },
        )


def _readable(ticket: Ticket, analysis: Analysis) -> str:
    review = (
        "\nThe model was unsure: please check urgency, category and reply.\n"
        if analysis["needsReview"]
        else ""
    )
    return f"""\
{analysis["summary"]}

Urgency:    {analysis["urgency"]}
Category:   {analysis["category"]}
Sentiment:  {analysis["sentiment"]}
Language:   {analysis["language"]}
Tags:       {", ".join(analysis["tags"])}
Confidence: {analysis["confidence"]:.0%}
Customer:   {ticket.customer_id}
Ticket:     {ticket.ticket_id}
Received:   {ticket.created_at}
{review}
--- The customer wrote ---
{f"Subject: {ticket.subject}" + chr(10) if ticket.subject else ""}{ticket.content}

--- Drafted reply ---
{analysis["response"]}
"""
