"""Dismiss: what no replay can mend leaves the failed-tickets queue; who decided it, when and why is kept.

Nothing is lost. A ticket stays in the table, FAILED, with the decision; one that was never stored is stored
first. A message that holds no ticket is written to a file first. Each decision is also a line in the log
group of operations, which outlives tickets and stacks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ops.errors import UsageError
from ops.failed import FailedTicket, Unreadable, UnreadableMessage, find
from ops.logs import Execution
from ops.queue import Held, Message
from ops.report import count, harmless
from ops.run import Run
from ops.target import Target
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Dismissal, Failure, Status

if TYPE_CHECKING:
    from support.aws.table import TicketTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """What is dismissed: a ticket with all its messages, or whatever one message holds."""

    ticket_id: str | None
    message_id: str | None

    @classmethod
    def of(cls, *, ticket_id: str | None, message_id: str | None) -> Self:
        """The handle of one of both.

        Raises:
            UsageError: none or both are given.
        """
        if (ticket_id is None) == (message_id is None):
            raise UsageError("Name what to dismiss: TICKET=<ticket id>, or MESSAGE=<message id>.")
        return cls(ticket_id=ticket_id, message_id=message_id)

    def __str__(self) -> str:
        return (
            f"ticket {harmless(self.ticket_id)}"
            if self.ticket_id
            else f"message {harmless(self.message_id or '')}"
        )


def dismiss(run: Run, handle: Handle, reason: str, save: Path | None) -> int:
    """Dismiss one ticket or message; return the exit code: 1 when the ticket is being processed again.

    Raises:
        UsageError: there is no such ticket or message, or its text would be lost.
        PipelineError, ClientError, BotoCoreError: AWS did not do its part; nothing is lost by it.
    """
    with run.target.failed_tickets.held() as messages:
        found = _find(run.target, handle, messages)
        if isinstance(found, UnreadableMessage):
            return _dismiss_message(run, found, messages, reason, save)
        if found is None:
            run.report.say(_nothing(run.target, handle))
            return 0
        return _dismiss_ticket(run, found, messages, reason)


def _find(target: Target, handle: Handle, messages: Held) -> FailedTicket | UnreadableMessage | None:
    found, unreadable = find(target.table, [handle.ticket_id] if handle.ticket_id else [], messages)
    if handle.message_id:
        return _with_message(handle.message_id, found, unreadable)
    chosen = [one for one in found if one.ticket_id == handle.ticket_id]
    if len(chosen) > 1:
        ids = ", ".join(harmless(message.id) for one in chosen for message in one.messages)
        raise UsageError(f"Several submissions came in as {handle}: name a message of one, MESSAGE= {ids}.")
    return chosen[0] if chosen else None


def _with_message(
    message_id: str, found: Sequence[FailedTicket], unreadable: Sequence[Unreadable]
) -> FailedTicket | UnreadableMessage | None:
    for failed in found:
        if message_id in {message.id for message in failed.messages}:
            return failed
    for one in unreadable:
        if isinstance(one, UnreadableMessage) and one.message.id == message_id:
            return one
    return None


def _dismiss_ticket(run: Run, failed: FailedTicket, messages: Held, reason: str) -> int:
    target, report = run.target, run.report
    what = f"ticket {harmless(failed.ticket_id)} ({harmless(failed.error)})"
    where = "" if failed.stored else ", which is stored first"
    if run.dry_run:
        report.say(f"Would dismiss {what}{where}, and delete {count(len(failed.messages), 'message')} of it.")
        return 0
    dismissal: Dismissal = {"by": target.operator(), "at": timestamp(datetime.now(UTC)), "reason": reason}
    if not _noted(target.table, failed, dismissal, target.ticket_retention_days):
        report.say(f"Not dismissed: {what} is being processed again, or waits for it.")
        return 1
    _log(
        target,
        {
            "ticketId": failed.ticket_id,
            "error": harmless(failed.error),
            "failedAt": timestamp(failed.failed_at),
            "messageIds": [message.id for message in failed.messages],
            "dismissed": dismissal,
        },
    )
    for message in failed.messages:
        messages.delete(message)
    report.say(
        f"Dismissed {what}. It stays in the table; the reason is also in {target.operations_log_group}."
    )
    return 0


def _noted(table: TicketTable, failed: FailedTicket, dismissal: Dismissal, retention_days: int) -> bool:
    """Note the decision on the ticket, which is stored if it never was; False when it goes on by itself."""
    stored = failed.stored
    if stored is None:
        _, is_new = table.find_or_add(_never_stored(failed, dismissal, retention_days))
        return is_new
    if stored.notified_at:  # It owes nothing: only its stale message goes.
        return True
    if not failed.can_be_moved and not stored.needs_replay:
        stored = _given_up(table, failed, stored)
    return stored is not None and stored.needs_replay and table.dismiss(stored, dismissal) is not None


def _given_up(table: TicketTable, failed: FailedTicket, stored: Ticket) -> Ticket | None:
    """The ticket, no longer waiting: SQS took its message out of the waiting room."""
    return table.record_failure(
        stored.ticket_id,
        _failure(failed),
        execution_name=Execution(failed.execution).name,
        execution_arn=failed.execution,
        now=datetime.now(UTC),
    )


def _never_stored(failed: FailedTicket, dismissal: Dismissal, retention_days: int) -> Ticket:
    now = datetime.now(UTC)
    ticket = Ticket.from_submission(failed.submission, now=now, retention_days=retention_days)
    failure = _failure(failed)
    return replace(ticket, status=Status.FAILED, pending_since=None, failure=failure, dismissed=dismissal)


def _failure(failed: FailedTicket) -> Failure:
    return {"error": failed.error, "cause": failed.cause, "failedAt": timestamp(failed.failed_at)}


def _dismiss_message(
    run: Run, unreadable: UnreadableMessage, messages: Held, reason: str, save: Path | None
) -> int:
    target, report, message = run.target, run.report, unreadable.message
    if save is None:
        raise UsageError(
            f"Message {harmless(message.id)} cannot be stored as a ticket: {unreadable.reason} "
            "Say into which new file its text goes: SAVE=<file>."
        )
    if run.dry_run:
        report.say(f"Would write message {harmless(message.id)} to {save}, and delete it.")
        return 0
    _save(message, save)
    dismissal: Dismissal = {"by": target.operator(), "at": timestamp(datetime.now(UTC)), "reason": reason}
    _log(target, {"messageIds": [message.id], "savedTo": str(save), "dismissed": dismissal})
    messages.delete(message)
    report.say(f"Dismissed message {harmless(message.id)}: its text is in {save}.")
    return 0


def _save(message: Message, file: Path) -> None:
    """Write a message where only the operator reads it.

    Raises:
        UsageError: the file exists, or cannot be written.
    """
    document = {
        "messageId": message.id,
        "sentAt": timestamp(message.sent_at),
        "body": message.body,
    }
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as new:
            new.write(json.dumps(document, indent=2) + "\n")
            new.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise UsageError(f"SAVE={file} cannot be written: {error.strerror}.") from error


def _log(target: Target, decision: Mapping[str, Any]) -> None:
    """Add a line to the log group of operations. Raises botocore's errors."""
    now = datetime.now(UTC)
    stream = f"dismissals/{now:%Y-%m}"
    with suppress(target.logs.exceptions.ResourceAlreadyExistsException):
        target.logs.create_log_stream(logGroupName=target.operations_log_group, logStreamName=stream)
    target.logs.put_log_events(
        logGroupName=target.operations_log_group,
        logStreamName=stream,
        logEvents=[{"timestamp": round(now.timestamp() * 1000), "message": json.dumps(decision)}],
    )


def _nothing(target: Target, handle: Handle) -> str:
    """Why there is nothing to dismiss.

    Raises:
        UsageError: there is no such ticket or message.
    """
    ticket = target.table.get(handle.ticket_id) if handle.ticket_id else None
    if ticket is None:
        raise UsageError(
            f"There is no failed {handle} in {target.title}; what somebody else's command is reading now "
            "comes back within five minutes."
        )
    if ticket.notified_at:
        return f"Nothing to dismiss: {handle} is processed (announced at {ticket.notified_at})."
    if ticket.waiting_since:
        return f"Nothing to dismiss: {handle} is in the waiting room, and goes on by itself."
    return f"Nothing to dismiss: {handle} has not failed, it is {ticket.status}."
