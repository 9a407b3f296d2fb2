"""Ticket: shows one ticket to an operator: its state, its failure, its executions and its last log lines.

It shows nothing that a customer wrote.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from ops.context import CommandContext
from ops.execution_log import execution_name
from ops.execution_states import EnteredState, read_states
from ops.failed_tickets import FailedTicket, read_messages
from ops.failure_cause import readable_cause
from ops.formatting import count, sanitize, short_duration
from ops.log_reader import TimeWindow, read_lines
from ops.options import UsageError
from ops.report import Report
from ops.target import Target
from ops.ticket_log import format_lines
from support.domain.errors import InvalidTicket
from support.domain.ticket import Ticket, timestamp

MAX_LINES = 20
# An execution takes five minutes at most.
_BEFORE = timedelta(minutes=6)
_AFTER = timedelta(minutes=1)


def show_ticket(context: CommandContext, ticket_id: str, functions_log_group: str) -> int:
    """Show a ticket; return the exit code: 1 when the ticket is unreadable.

    Raises:
        UsageError: the ticket does not exist.
        PipelineError, ClientError, BotoCoreError: a call to AWS failed.
    """
    target, report = context.target, context.report
    found = find_ticket(context, ticket_id)
    if found is None:
        return 1
    for line in summary(found):
        report.line(line)
    window = _window(found)
    if execution := _last_execution(found):
        states = read_states(target.logs, target.log_group, execution, window)
        _section(report, f"States of execution {sanitize(execution_name(execution))}", map(_line, states))
    lines = read_lines(target.logs, functions_log_group, "ticketId", ticket_id, window)
    _section(
        report, f"Log of the functions until {timestamp(window.end)}", format_lines(deque(lines, MAX_LINES))
    )
    return 0


def find_ticket(context: CommandContext, ticket_id: str) -> Ticket | FailedTicket | None:
    """The stored ticket; a FailedTicket if it has failed, or if only the failed-tickets queue contains it.

    Reports an unreadable ticket and returns None.

    Raises:
        UsageError: neither table nor queue contains the ticket.
        PipelineError, ClientError, BotoCoreError: a call to AWS failed.
    """
    try:
        return _find(context.target, ticket_id)
    except InvalidTicket as error:
        name = sanitize(ticket_id)
        context.report.line(f"Ticket {name} is unreadable (TicketUnreadable in the runbook): {error}")
        return None


def _find(target: Target, ticket_id: str) -> Ticket | FailedTicket:
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


def summary(found: Ticket | FailedTicket) -> Iterator[str]:
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


def _last_execution(found: Ticket | FailedTicket) -> str | None:
    if isinstance(found, FailedTicket):
        return found.execution
    return found.history[-1]["execution"] if found.history else None


def _window(found: Ticket | FailedTicket) -> TimeWindow:
    """The time of the last execution: until the failure, the notification or the last change."""
    if isinstance(found, FailedTicket):
        end = found.failed_at
    else:
        end = datetime.fromisoformat(found.notified_at or found.updated_at)
    return TimeWindow(end - _BEFORE, end + _AFTER)


def _line(state: EnteredState) -> str:
    failures = f"  {state.errors[-1]}, {count(len(state.errors), 'failed attempt')}" if state.errors else ""
    return f"{timestamp(state.entered_at)}  {state.name}{failures}"


def _section(report: Report, title: str, lines: Iterable[str]) -> None:
    report.line(f"{title}:")
    for line in [*lines] or ["nothing; logs are kept for a limited time, and are best effort"]:
        report.line(f"  {line}")
