"""Replay: sends failed tickets to the waiting room and watches them until they are processed or fail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ops.context import CommandContext
from ops.failed_tickets import (
    FailedTicket,
    Unreadable,
    UnreadableTicket,
    failed_ticket_ids,
    find_failed_tickets,
    map_parallel,
)
from ops.formatting import count, long_duration, sanitize, short_duration
from ops.options import UsageError
from ops.queue import Message, ReceivedMessages
from ops.target import Target
from ops.watch import watch_replay
from support.domain.ticket import Ticket
from support.domain.waiting import REPLAY, has_priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The filters that select failed tickets; a ticket must match all that are set."""

    ticket_id: str | None = None
    since: timedelta | None = None
    error: str | None = None

    @property
    def is_everything(self) -> bool:
        """Whether no filter is set."""
        return self == Selection()

    def matches(self, ticket: FailedTicket, now: datetime) -> bool:
        """Whether the ticket is selected.

        Without a ticket id, a dismissed ticket is selected only if it has a message, so that it is reported.
        """
        if self.ticket_id:
            is_named = ticket.ticket_id == self.ticket_id
        else:
            is_named = bool(ticket.messages) or not ticket.is_dismissed
        return (
            is_named
            and (self.since is None or now - ticket.failed_at <= self.since)
            and (self.error is None or ticket.error == self.error)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What happens to the selected tickets. The dismissed and the unreadable stay in the queue."""

    selected: Sequence[FailedTicket]
    to_replay: Sequence[FailedTicket]
    dismissed: Sequence[FailedTicket]
    unreadable: Sequence[Unreadable]

    @property
    def skips_nothing(self) -> bool:
        """Whether every selected ticket is replayed."""
        return not self.dismissed and not self.unreadable


def replay(context: CommandContext, selection: Selection) -> int:
    """List the waiting and the failed tickets, and replay the selected ones.

    Returns the exit code: 1 when a ticket failed again or was skipped.

    Raises:
        UsageError: the selected ticket does not exist.
        PipelineError, ClientError, BotoCoreError: a call to AWS failed; nothing is lost.
    """
    target, report = context.target, context.report
    queue = target.failed_tickets_queue
    now = datetime.now(UTC)
    _report_waiting(context, now)
    with queue.receive_all() as messages:
        plan = _plan(target, selection, messages, now)
        if not plan.selected and not plan.unreadable:
            report.line(_why_nothing(target, selection))
            return 0
        _report_plan(context, plan, now)
        if context.dry_run:
            return 0
        moves_all = _can_move_all(plan, selection, target)
        one_by_one = [ticket for ticket in plan.to_replay if not (moves_all and _is_movable_by_sqs(ticket))]
        _send_to_waiting_room(one_by_one, messages, target)
    if moves_all:
        # After the messages are released: SQS does not move messages in flight.
        queue.move_all(target.waiting_room)
    # Mark last: a ticket whose mark fails is replayed nevertheless.
    _mark_waiting(target, plan.to_replay)
    none_failed = watch_replay(context, plan.to_replay)
    move_failure = queue.last_move_failure() if moves_all else None
    if move_failure:
        report.line(f"SQS stopped moving messages: {sanitize(move_failure)}. Run this command again.")
    return 0 if none_failed and plan.skips_nothing and not move_failure else 1


def _report_waiting(context: CommandContext, now: datetime) -> None:
    waiting = list(context.target.pending_tickets.waiting())
    if waiting or context.dry_run:
        context.report.waiting_tickets(waiting, now)


def _plan(target: Target, selection: Selection, messages: Iterable[Message], now: datetime) -> _Plan:
    ticket_id = selection.ticket_id
    ids = [ticket_id] if ticket_id else failed_ticket_ids(target.dynamodb, target.tickets_table)
    tickets, unreadable = find_failed_tickets(target.table, ids, messages)
    selected = [ticket for ticket in tickets if selection.matches(ticket, now)]
    # A dismissed ticket is replayed only when its id is given.
    is_skipped = {ticket.identity: ticket.is_dismissed and not ticket_id for ticket in selected}
    return _Plan(
        selected=selected,
        to_replay=[ticket for ticket in selected if not is_skipped[ticket.identity]],
        dismissed=[ticket for ticket in selected if is_skipped[ticket.identity]],
        # Filters cannot be applied to what is unreadable.
        unreadable=unreadable if selection.is_everything else [],
    )


def _report_plan(context: CommandContext, plan: _Plan, now: datetime) -> None:
    report = context.report
    report.line(f"{count(len(plan.selected), 'failed ticket')} in {context.target.label}:")
    report.failed_tickets(plan.selected, now)
    for ticket in plan.dismissed:
        report.line(f"Ticket {sanitize(ticket.ticket_id)} is skipped: it was dismissed.")
    for unreadable in plan.unreadable:
        report.line(f"{_describe(unreadable, now)} is skipped: {unreadable.reason}")
    if context.dry_run:
        report.causes(plan.selected)
        report.line("Dry run: nothing was changed. For more about a ticket: make ticket TICKET=<ticket id>.")


def _can_move_all(plan: _Plan, selection: Selection, target: Target) -> bool:
    """Whether SQS can move the messages itself. That is fast, but moves everything in the queue."""
    return (
        any(map(_is_movable_by_sqs, plan.to_replay))
        and selection.is_everything
        and plan.skips_nothing
        and target.failed_tickets_queue.can_move_all()
    )


def _is_movable_by_sqs(ticket: FailedTicket) -> bool:
    """Whether SQS can move the ticket's messages: it moves all messages to the same queue, unchanged."""
    return ticket.can_be_moved and not has_priority(ticket.submission)


def _send_to_waiting_room(
    tickets: Sequence[FailedTicket], messages: ReceivedMessages, target: Target
) -> None:
    for ticket in tickets:
        waiting_room = target.waiting_room_for(ticket.submission)
        if ticket.can_be_moved:
            newest, *older = ticket.messages
            messages.move(newest, waiting_room)
        else:
            older = [*ticket.messages]
            waiting_room.send(ticket.to_message())
        # One message restarts the ticket.
        for message in older:
            messages.delete(message)


def _mark_waiting(target: Target, tickets: Sequence[FailedTicket]) -> None:
    """Mark the stored tickets as waiting, so that agents see it and a second replay skips them."""
    now = datetime.now(UTC)

    def mark(ticket: Ticket) -> None:
        target.table.mark_waiting(ticket, reason=REPLAY, now=now)

    map_parallel(mark, [ticket.stored for ticket in tickets if ticket.stored])


def _describe(unreadable: Unreadable, now: datetime) -> str:
    if isinstance(unreadable, UnreadableTicket):
        return f"Ticket {sanitize(unreadable.ticket_id)}"
    message = unreadable.message
    return f"Message {sanitize(message.id)} ({short_duration(now - message.sent_at)} old)"


def _why_nothing(target: Target, selection: Selection) -> str:
    """Why there is nothing to replay.

    Raises:
        UsageError: the selected ticket does not exist.
    """
    if selection.ticket_id:
        return _why_not(target, selection.ticket_id)
    if selection.is_everything:
        return f"Nothing failed in {target.label}: there is nothing to replay."
    return f"No failed ticket in {target.label} matches the filters: there is nothing to replay."


def _why_not(target: Target, ticket_id: str) -> str:
    """Why this ticket is not replayed."""
    name = f"Ticket {sanitize(ticket_id)}"
    ticket = target.table.get(ticket_id)
    if ticket is None:
        raise UsageError(
            f"{name} does not exist in {target.label}, neither in the table nor in the failed-tickets queue."
        )
    if ticket.notified_at:
        return f"{name} is already processed (notification sent at {ticket.notified_at}): nothing to replay."
    if ticket.waiting_since:
        waited = long_duration(datetime.now(UTC) - datetime.fromisoformat(ticket.waiting_since))
        reason = sanitize(ticket.waiting_for or "")
        return f"{name} has been in the waiting room for {waited} ({reason}): it continues automatically."
    if ticket.needs_replay:
        return f"{name} failed, but the other filters exclude it: nothing to replay."
    return f"{name} has not failed, its status is {ticket.status}: wait for its execution, or for the sweep."
