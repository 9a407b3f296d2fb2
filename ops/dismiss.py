"""Dismiss: removes what no replay can fix from the failed-tickets queue, and records who decided it and why.

Nothing is lost. A ticket stays in the table, FAILED, with the decision; a ticket that is not in the table is
stored first. A message that contains no ticket is saved to a file first. Each decision is also logged in the
operations log group, which is kept longer than tickets and stacks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.context import CommandContext
from ops.execution_log import execution_name
from ops.failed_tickets import FailedTicket, Unreadable, UnreadableMessage, find_failed_tickets
from ops.formatting import count, sanitize
from ops.options import UsageError
from ops.private_file import write_new
from ops.queue import Message, ReceivedMessages
from ops.target import Target
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Dismissal, Status

if TYPE_CHECKING:
    from support.aws.table import TicketTable


@dataclass(frozen=True, slots=True, kw_only=True)
class DismissalRequest:
    """What to dismiss and why: a ticket with all its messages, or whatever one message contains.

    Exactly one of the ids is set. `save_to` is the file for a message that contains no ticket.
    """

    ticket_id: str | None = None
    message_id: str | None = None
    reason: str
    save_to: Path | None = None

    @property
    def name(self) -> str:
        """`ticket 7f9c…` or `message b1a2…`."""
        if self.ticket_id:
            return f"ticket {sanitize(self.ticket_id)}"
        return f"message {sanitize(self.message_id or '')}"


def dismiss(context: CommandContext, request: DismissalRequest) -> int:
    """Dismiss one ticket or message; return the exit code: 1 when the ticket is being processed again.

    Raises:
        UsageError: the ticket or message does not exist, or its text would be lost.
        PipelineError, ClientError, BotoCoreError: a call to AWS failed; nothing is lost.
    """
    with context.target.failed_tickets_queue.receive_all() as messages:
        found = _find(context.target, request, messages)
        if isinstance(found, UnreadableMessage):
            return _dismiss_message(context, found, messages, request)
        if found is None:
            context.report.line(_why_nothing(context.target, request))
            return 0
        return _dismiss_ticket(context, found, messages, request)


def _find(
    target: Target, request: DismissalRequest, messages: ReceivedMessages
) -> FailedTicket | UnreadableMessage | None:
    ticket_ids = [request.ticket_id] if request.ticket_id else []
    tickets, unreadable = find_failed_tickets(target.table, ticket_ids, messages)
    if request.message_id:
        return _with_message(request.message_id, tickets, unreadable)
    matching = [one for one in tickets if one.ticket_id == request.ticket_id]
    if len(matching) > 1:
        ids = ", ".join(sanitize(message.id) for one in matching for message in one.messages)
        raise UsageError(f"Several submissions have the id of {request.name}: set MESSAGE to one of {ids}.")
    return matching[0] if matching else None


def _with_message(
    message_id: str, tickets: Sequence[FailedTicket], unreadable: Sequence[Unreadable]
) -> FailedTicket | UnreadableMessage | None:
    for ticket in tickets:
        if message_id in {message.id for message in ticket.messages}:
            return ticket
    for one in unreadable:
        if isinstance(one, UnreadableMessage) and one.message.id == message_id:
            return one
    return None


def _dismiss_ticket(
    context: CommandContext, ticket: FailedTicket, messages: ReceivedMessages, request: DismissalRequest
) -> int:
    target, report = context.target, context.report
    name = f"ticket {sanitize(ticket.ticket_id)} ({sanitize(ticket.error)})"
    if context.dry_run:
        action = "dismiss" if ticket.stored else "store and dismiss"
        report.line(f"Would {action} {name}, and delete {count(len(ticket.messages), 'message')}.")
        return 0
    dismissal = _dismissal(target, request)
    if not _record(target.table, ticket, dismissal, target.ticket_retention_days):
        report.line(f"Not dismissed: {name} is being processed again, or is in the waiting room.")
        return 1
    _log(target, _log_entry(ticket, dismissal))
    for message in ticket.messages:
        messages.delete(message)
    report.line(
        f"Dismissed {name}. It stays in the table; the reason is also in log group "
        f"{target.operations_log_group}."
    )
    return 0


def _dismissal(target: Target, request: DismissalRequest) -> Dismissal:
    return {"by": target.operator_arn(), "at": timestamp(datetime.now(UTC)), "reason": request.reason}


def _record(table: TicketTable, ticket: FailedTicket, dismissal: Dismissal, retention_days: int) -> bool:
    """Record the decision on the ticket, which is stored if it is new; False when it is not FAILED."""
    stored = ticket.stored
    if stored is None:
        _, is_new = table.find_or_add(_dismissed_ticket(ticket, dismissal, retention_days))
        return is_new
    if stored.notified_at:  # Only its stale messages are deleted.
        return True
    # Without a failure message the ticket waits: SQS moved its deferral message to the failed-tickets queue.
    is_waiting = not ticket.can_be_moved and not stored.needs_replay
    current = _record_failure(table, ticket, stored) if is_waiting else stored
    return current is not None and current.needs_replay and table.dismiss(current, dismissal) is not None


def _record_failure(table: TicketTable, ticket: FailedTicket, stored: Ticket) -> Ticket | None:
    return table.record_failure(
        stored.ticket_id,
        ticket.failure,
        execution_name=execution_name(ticket.execution),
        execution_arn=ticket.execution,
        now=datetime.now(UTC),
    )


def _dismissed_ticket(ticket: FailedTicket, dismissal: Dismissal, retention_days: int) -> Ticket:
    """The ticket of a submission that was never stored, as FAILED and dismissed."""
    now = datetime.now(UTC)
    new = Ticket.from_submission(ticket.submission, now=now, retention_days=retention_days)
    return replace(new, status=Status.FAILED, pending_since=None, failure=ticket.failure, dismissed=dismissal)


def _log_entry(ticket: FailedTicket, dismissal: Dismissal) -> Mapping[str, Any]:
    return {
        "ticketId": ticket.ticket_id,
        "error": sanitize(ticket.error),
        "failedAt": timestamp(ticket.failed_at),
        "messageIds": [message.id for message in ticket.messages],
        "dismissed": dismissal,
    }


def _dismiss_message(
    context: CommandContext,
    unreadable: UnreadableMessage,
    messages: ReceivedMessages,
    request: DismissalRequest,
) -> int:
    target, report, message, file = context.target, context.report, unreadable.message, request.save_to
    if file is None:
        raise UsageError(
            f"The {request.name} cannot be stored as a ticket: {unreadable.reason} "
            "Save it to a new file: SAVE=<file>."
        )
    if context.dry_run:
        report.line(f"Would save {request.name} to {file}, then delete it from the queue.")
        return 0
    _save(message, file)
    _log(
        target,
        {"messageIds": [message.id], "savedTo": str(file), "dismissed": _dismissal(target, request)},
    )
    messages.delete(message)
    report.line(f"Dismissed {request.name}: it is saved in {file}.")
    return 0


def _save(message: Message, file: Path) -> None:
    """Write a message to a new file that only its owner can read.

    Raises:
        UsageError: the file exists, or cannot be written.
    """
    document = {
        "messageId": message.id,
        "sentAt": timestamp(message.sent_at),
        "body": message.body,
    }
    write_new(file, json.dumps(document, indent=2) + "\n")


def _log(target: Target, entry: Mapping[str, Any]) -> None:
    """Write a line to the operations log group. Raises botocore's errors."""
    now = datetime.now(UTC)
    stream = f"dismissals/{now:%Y-%m}"
    with suppress(target.logs.exceptions.ResourceAlreadyExistsException):
        target.logs.create_log_stream(logGroupName=target.operations_log_group, logStreamName=stream)
    target.logs.put_log_events(
        logGroupName=target.operations_log_group,
        logStreamName=stream,
        logEvents=[{"timestamp": round(now.timestamp() * 1000), "message": json.dumps(entry)}],
    )


def _why_nothing(target: Target, request: DismissalRequest) -> str:
    """Why there is nothing to dismiss.

    Raises:
        UsageError: the ticket or message does not exist.
    """
    ticket = target.table.get(request.ticket_id) if request.ticket_id else None
    if ticket is None:
        raise UsageError(
            f"There is no failed {request.name} in {target.label}. Messages that another command is reading "
            "reappear within five minutes."
        )
    if ticket.notified_at:
        state = f"is processed (notification sent at {ticket.notified_at})"
    elif ticket.waiting_since:
        state = "is in the waiting room and continues automatically"
    else:
        state = f"has not failed, its status is {ticket.status}"
    return f"Nothing to dismiss: {request.name} {state}."
