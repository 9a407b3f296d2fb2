"""Ticket: shows one ticket to an operator: its state, its failure, its executions and its last log lines.

It shows nothing that a customer wrote.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial

from ops.context import CommandContext
from ops.execution_log import execution_name
from ops.execution_states import EnteredState, read_states
from ops.failed_tickets import FailedTicket
from ops.formatting import count, sanitize
from ops.log_reader import TimeWindow, read_lines
from ops.target import Target
from ops.ticket_log import format_lines
from ops.ticket_summary import FoundTicket, show_with_details
from support.domain.ticket import timestamp

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
    return show_with_details(
        context, ticket_id, partial(_details, context.target, functions_log_group=functions_log_group)
    )


def _details(target: Target, found: FoundTicket, *, functions_log_group: str) -> Iterator[str]:
    window = _window(found)
    if execution := _last_execution(found):
        states = read_states(target.logs, target.log_group, execution, window)
        yield from _section(f"States of execution {sanitize(execution_name(execution))}", map(_line, states))
    lines = read_lines(target.logs, functions_log_group, "ticketId", found.ticket_id, window)
    yield from _section(
        f"Log of the functions until {timestamp(window.end)}", format_lines(deque(lines, MAX_LINES))
    )


def _last_execution(found: FoundTicket) -> str | None:
    if isinstance(found, FailedTicket):
        return found.execution
    return found.history[-1]["execution"] if found.history else None


def _window(found: FoundTicket) -> TimeWindow:
    """The time of the last execution: until the failure, the notification or the last change."""
    if isinstance(found, FailedTicket):
        end = found.failed_at
    else:
        end = datetime.fromisoformat(found.notified_at or found.updated_at)
    return TimeWindow(end - _BEFORE, end + _AFTER)


def _line(state: EnteredState) -> str:
    failures = f"  {state.errors[-1]}, {count(len(state.errors), 'failed attempt')}" if state.errors else ""
    return f"{timestamp(state.entered_at)}  {state.name}{failures}"


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"{title}:"
    for line in [*lines] or ["nothing; logs are kept for a limited time, and are best effort"]:
        yield f"  {line}"
