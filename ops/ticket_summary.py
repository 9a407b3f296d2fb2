"""The beginning of the commands that show one ticket: find it, and show its state and its failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain

from ops.context import CommandContext
from ops.failed_tickets import FailedTicket, read_messages
from ops.failure_cause import readable_cause
from ops.formatting import count, sanitize, short_duration
from ops.options import UsageError
from ops.target import Target
from support.domain.errors import InvalidTicket
from support.domain.ticket import Ticket

type FoundTicket = Ticket | FailedTicket
"""The stored ticket; a FailedTicket if it has failed, or if only the failed-tickets queue contains it."""


def show_with_details(
    context: CommandContext, ticket_id: str, details: Callable[[FoundTicket], Iterable[str]]
) -> int:
    """Show a ticket, then the lines of its details; return the exit code: 1 when the ticket is unreadable.

    Raises:
        UsageError: neither table nor queue contains the ticket.
        PipelineError, ClientError, BotoCoreError: a call to AWS failed.
    """
    try:
        found = _find(context.target, ticket_id)
    except InvalidTicket as error:
        name = sanitize(ticket_id)
        context.report.line(f"Ticket {name} is unreadable (TicketUnreadable in the runbook): {error}")
        return 1
    for line in chain(_summary(found), details(found)):
        context.report.line(line)
    return 0


def _find(target: Target, ticket_id: str) -> FoundTicket:
    if stored := target.table.get(ticket_id):
        return FailedTicket.from_stored(stored) if stored.needs_replay else stored
    with target.failed_tickets_queue.receive_all() as messages:
        queued, _ = read_messages(messages)
    for ticket in queued:
        if ticket.ticket_id == ticket_id:
            return ticket
    raise UsageError(
        f"Ticket {sanitize(ticket_id)} does not exist in {target.label}, neither in the table nor in the "
        "failed-tickets queue."
    )


def _summary(found: FoundTicket) -> Iterator[str]:
    """The ticket's status, progress, history and failure, in lines."""
    stored = found.stored if isinstance(found, FailedTicket) else found
    name = f"Ticket {sanitize(found.ticket_id)}"
    if stored:
        yield (
            f"{name}: {stored.status}, {count(stored.attempts, 'attempt')}, received {stored.created_at}, "
            f"changed {stored.updated_at}."
        )
        yield from _progress(stored)
        for attempt in stored.history or []:
            outcome = sanitize(attempt["outcome"])
            yield f"  {attempt['endedAt']}  {outcome}  execution {sanitize(attempt['execution'])}"
    else:
        yield f"{name} is not stored: only the failed-tickets queue contains it."
    if isinstance(found, FailedTicket):
        age = short_duration(datetime.now(UTC) - found.failed_at)
        yield f"Failed {age} ago with {sanitize(found.error)}: {readable_cause(found.error, found.cause)}"


def _progress(ticket: Ticket) -> Iterator[str]:
    if ticket.notified_at:
        yield f"The support team was notified at {ticket.notified_at}."
    if ticket.waiting_since:
        yield f"It has been waiting since {ticket.waiting_since} for {sanitize(ticket.waiting_for or '')}."
    if ticket.is_leased(datetime.now(UTC)):
        yield f"An execution is processing it, until {ticket.leased_until} at most."
    if ticket.dismissed:
        yield f"It was dismissed at {ticket.dismissed['at']} by {sanitize(ticket.dismissed['by'])}."
