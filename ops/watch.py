"""Watches replayed tickets until they are processed or fail again, or until the deadline."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from ops.context import CommandContext
from ops.failed_tickets import FailedTicket, Identity, find_stored, read_messages
from ops.progress import ReplayOutcome, ReplayResult
from ops.queue import Queue
from ops.report import ProgressDisplay
from support.domain.ticket import Ticket

_POLL_SECONDS = 1
# A poll reads every remaining ticket. A mass replay polls more slowly, to spare the table.
_READS_PER_SECOND = 100
_POLLS_PER_QUEUE_READ = 10


def watch_replay(context: CommandContext, tickets: Sequence[FailedTicket]) -> bool:
    """Watch replayed tickets and report the outcome of each; whether none failed again.

    Raises:
        StoreUnavailable, StoreRejected: the table cannot be read.
    """
    if not tickets:
        return True
    with context.report.progress(len(tickets), context.clock) as display:
        results = _watch(context, tickets, display)
    context.report.replay_summary(results, context.deadline)
    return all(result.outcome is not ReplayOutcome.FAILED_AGAIN for result in results)


def _watch(
    context: CommandContext, tickets: Sequence[FailedTicket], display: ProgressDisplay
) -> list[ReplayResult]:
    results: list[ReplayResult] = []
    remaining = list(tickets)
    started_at = context.clock()
    for poll in count(1):
        is_late = context.clock() - started_at >= context.deadline
        reads_queue = is_late or poll % _POLLS_PER_QUEUE_READ == 0
        new = _poll(context, remaining, reads_queue=reads_queue, is_late=is_late)
        for result in new:
            display.show_result(result)
        results += new
        ended = {result.ticket.identity for result in new}
        remaining = [ticket for ticket in remaining if ticket.identity not in ended]
        if not remaining:
            break
        display.refresh()
        pause = max(_POLL_SECONDS, len(remaining) / _READS_PER_SECOND)
        until_deadline = started_at + context.deadline - context.clock()
        context.sleep(min(pause, max(_POLL_SECONDS, until_deadline)))
    return results


def _poll(
    context: CommandContext, tickets: Sequence[FailedTicket], *, reads_queue: bool, is_late: bool
) -> list[ReplayResult]:
    """The results that are known now; at the deadline, a result for every ticket."""
    stored = find_stored(context.target.table, tickets)
    only_in_queue = _failing_only_in_queue(tickets, stored) if reads_queue else []
    errors = _new_failures(only_in_queue, context.target.failed_tickets_queue)
    results = (
        _result(ticket, stored.get(ticket.identity), errors.get(ticket.identity), is_late=is_late)
        for ticket in tickets
    )
    return [result for result in results if result]


def _result(
    ticket: FailedTicket, current: Ticket | None, queued_error: str | None, *, is_late: bool
) -> ReplayResult | None:
    """The result of a replay, from the ticket in the table and the error in the queue; None if unknown."""
    if current and current.notified_at:
        outcome = ReplayOutcome.ALREADY_PROCESSED if ticket.is_processed else ReplayOutcome.PROCESSED
        return ReplayResult(ticket=ticket, outcome=outcome)
    if current and current.needs_replay and _has_failed_since(ticket.stored, current):
        error = current.failure["error"] if current.failure else ""
        return ReplayResult(ticket=ticket, outcome=ReplayOutcome.FAILED_AGAIN, reason=error)
    if queued_error:
        return ReplayResult(ticket=ticket, outcome=ReplayOutcome.FAILED_AGAIN, reason=queued_error)
    if is_late:
        reason = current.waiting_for if current else None
        return ReplayResult(ticket=ticket, outcome=ReplayOutcome.WAITING, reason=reason or "")
    return None


def _has_failed_since(before: Ticket | None, current: Ticket) -> bool:
    """Whether the failure in the table is new."""
    if before is None or not before.needs_replay:
        return True
    # A ticket that fails in the waiting room has a new failure but no new attempt.
    return current.attempts > before.attempts or current.failure != before.failure


def _failing_only_in_queue(
    tickets: Sequence[FailedTicket], stored: dict[Identity, Ticket]
) -> list[FailedTicket]:
    """The tickets whose failure the table may not show: those not stored, and those with an analysis."""
    return [
        ticket
        for ticket in tickets
        if (found := stored.get(ticket.identity)) is None or found.analysis is not None
    ]


def _new_failures(tickets: Sequence[FailedTicket], queue: Queue) -> dict[Identity, str]:
    """The errors of those tickets for which the queue contains a failure of another execution."""
    if not tickets:
        return {}
    known = {ticket.identity: _known_executions(ticket) for ticket in tickets}
    with queue.receive_all() as messages:
        queued, _ = read_messages(messages)
    return {
        failed.identity: failed.error
        for failed in queued
        if failed.identity in known and failed.execution not in known[failed.identity]
    }


def _known_executions(ticket: FailedTicket) -> set[str]:
    earlier, _ = read_messages(ticket.messages)
    return {ticket.execution, *(failed.execution for failed in earlier)}
