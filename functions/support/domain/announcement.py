"""The words and labels with which a ticket is announced to the support team."""

import json
from dataclasses import dataclass
from typing import Self

from support.domain.plain_text import quoted, readable_line
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
        "\nPlease check urgency, category and reply: the model was unsure, or its words hold\n"
        "an address that is not in the ticket.\n"
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
Customer:   {readable_line(ticket.customer_id)}
Ticket:     {ticket.ticket_id}
Received:   {ticket.created_at}
{review}
--- The customer wrote ---
{quoted(_words_of(ticket))}

--- Drafted reply ---
{analysis["response"]}
"""


def _words_of(ticket: Ticket) -> str:
    return f"Subject: {readable_line(ticket.subject)}\n{ticket.content}" if ticket.subject else ticket.content
