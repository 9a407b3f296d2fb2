"""Corrections: save the tickets that agents corrected or customers rated, as candidates for the gold set.

Addresses and numbers are masked; names are not, so a person has to read each candidate before it joins the
gold set (evals/README.md). Nothing that customers wrote is shown on the terminal.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ops.context import CommandContext
from ops.failed_tickets import map_parallel
from ops.formatting import count
from ops.masking import NotMaskedError, mask
from ops.private_file import write_new
from support.aws.index_keys import shards
from support.domain.errors import InvalidTicket
from support.domain.ticket import Ticket, timestamp

DEFAULT_SINCE = timedelta(days=30)
_FOLDER = Path(".evals")


def save_corrections(context: CommandContext, since: timedelta, save_to: Path | None) -> int:
    """Save the candidates among the tickets created since then; return the exit code 0.

    Raises:
        UsageError: the file exists, or cannot be written.
        PipelineError, ClientError, BotoCoreError: a call to AWS failed.
    """
    now = datetime.now(UTC)
    tickets = [*_tickets(context, now - since)]
    corrected = [(ticket, kinds) for ticket in tickets if (kinds := corrections(ticket))]
    context.report.line(f"{count(len(tickets), 'ticket')} since {now - since:%Y-%m-%d %H:%M} UTC.")
    candidates = [one for ticket, _ in corrected if (one := _candidate(ticket))]
    if not candidates:
        context.report.line("None of them has a correction or a rating that can be saved.")
        return 0
    file = save_to or _FOLDER / f"corrections-{now:%Y%m%d-%H%M%S}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_new(file, "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in candidates))
    counts = Counter(kind for _, kinds in corrected for kind in kinds)
    context.report.line(", ".join(f"{kind}: {number:,}" for kind, number in counts.items()))
    if left_out := len(corrected) - len(candidates):
        context.report.line(f"Left out {count(left_out, 'ticket')} that cannot be masked.")
    context.report.line(
        f"Saved {count(len(candidates), 'candidate')} in {file}. Read them: names are not masked."
    )
    return 0


def corrections(ticket: Ticket) -> list[str]:
    """What people said about the analysis: changed urgency, category or reply, or a rating."""
    analysis = ticket.analysis
    if analysis is None:
        return []
    kinds = {
        "urgency": ticket.urgency not in (None, analysis["urgency"]),
        "category": ticket.category not in (None, analysis["category"]),
        "reply": ticket.reply is not None and ticket.reply["text"] != analysis["response"],
        "rating": ticket.feedback is not None,
    }
    return [kind for kind, applies in kinds.items() if applies]


def _candidate(ticket: Ticket) -> dict[str, Any] | None:
    """A line of the gold set without the reason, and what the model answered; None if it cannot be masked."""
    analysis = ticket.analysis
    try:
        return {
            "id": ticket.ticket_id,
            **({"subject": mask(ticket.subject)} if ticket.subject else {}),
            "content": mask(ticket.content),
            "category": ticket.category,
            "urgency": ticket.urgency,
            "language": analysis["language"].partition("-")[0] if analysis else None,
            "traits": [],
            "reason": "",
            "mustContain": [],
            "mustNotPromise": [],
            "model": {name: analysis[name] for name in ("category", "urgency", "confidence")}
            if analysis
            else {},
            "draft": mask(analysis["response"]) if analysis else None,
            "reply": mask(ticket.reply["text"]) if ticket.reply else None,
            "rating": ticket.feedback["rating"] if ticket.feedback else None,
        }
    except NotMaskedError:
        return None


def _tickets(context: CommandContext, start: datetime) -> Iterator[Ticket]:
    """The readable tickets that were created since then."""

    def read(ticket_id: str) -> Ticket | None:
        try:
            return context.target.table.get(ticket_id)
        except InvalidTicket:
            return None

    yield from filter(None, map_parallel(read, _ticket_ids(context, start)))


def _ticket_ids(context: CommandContext, start: datetime) -> Iterator[str]:
    query = context.target.dynamodb.get_paginator("query")
    for key in shards():
        pages = query.paginate(
            TableName=context.target.tickets_table,
            IndexName="ByTime",
            KeyConditionExpression="#shard = :shard AND createdAt >= :start",
            ExpressionAttributeNames={"#shard": "shard"},  # a reserved word
            ExpressionAttributeValues={":shard": {"S": key}, ":start": {"S": timestamp(start)}},
        )
        yield from (item["ticketId"]["S"] for page in pages for item in page["Items"])
