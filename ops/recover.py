"""Recover: replays tickets that are only in the log, because table, topic and queue were unavailable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from ops.context import CommandContext
from ops.execution_log import execution_name, read_executions
from ops.failed_tickets import FailedTicket, Identity, find_stored, read_messages
from ops.formatting import count, sanitize
from ops.log_summary import LogSummary, SubmissionState
from ops.report import Report
from ops.target import Target
from ops.watch import watch_replay


def recover(context: CommandContext, since: timedelta) -> int:
    """List the tickets that only the log contains, and replay them.

    Returns the exit code: 1 when a ticket failed again or cannot be recovered.

    Raises:
        PipelineError, ClientError, BotoCoreError: a call to AWS failed; nothing is lost.
    """
    target, report = context.target, context.report
    now = datetime.now(UTC)
    with report.status(f"Reading {target.log_group} …"):
        log = _read_log(target, since, now)
        unprocessed = log.unprocessed()
        states = _states(unprocessed, target)
    lost = [ticket for ticket in unprocessed if states[ticket.identity] is SubmissionState.LOST]
    _report_log(report, log, states)
    is_incomplete = any(one.state is SubmissionState.TRUNCATED for one in log.unreadable)
    if not lost:
        report.line(f"No ticket is only in the log of {target.label}: there is nothing to recover.")
        return int(is_incomplete)
    report.line(f"{count(len(lost), 'ticket')} only in the log of {target.label}:")
    report.failed_tickets(lost, now)
    if context.dry_run:
        report.line("Dry run: nothing was changed.")
        return 0
    _send_to_waiting_room(lost, target)
    all_processed = watch_replay(context, lost)
    return 0 if all_processed and not is_incomplete else 1


def _read_log(target: Target, since: timedelta, now: datetime) -> LogSummary:
    log = LogSummary(now)
    events = read_executions(target.logs, target.log_group, now - since, unmask=target.is_log_masked)
    for execution in events:
        log.add(execution)
    return log


def _report_log(report: Report, log: LogSummary, states: Mapping[Identity, SubmissionState]) -> None:
    report.state_counts(log.state_counts(states))
    for one in log.unreadable:
        name = sanitize(execution_name(one.execution.arn))
        report.line(f"Execution {name} cannot be replayed: {one.reason}")


def _states(tickets: Sequence[FailedTicket], target: Target) -> dict[Identity, SubmissionState]:
    """The states of unprocessed submissions: in a queue, in the table, or only in the log."""
    if not tickets:
        return {}
    with target.failed_tickets_queue.receive_all() as messages:
        queued, _ = read_messages(messages)
    states = {ticket.identity: SubmissionState.QUEUED for ticket in queued}
    # Read the table last: it then contains the tickets that were in flight while the log was read.
    stored = find_stored(target.table, [ticket for ticket in tickets if ticket.identity not in states])
    for identity, ticket in stored.items():
        states[identity] = SubmissionState.WAITING if ticket.waiting_since else SubmissionState.STORED
    return {ticket.identity: states.get(ticket.identity, SubmissionState.LOST) for ticket in tickets}


def _send_to_waiting_room(tickets: Sequence[FailedTicket], target: Target) -> None:
    # A ticket may already be in the waiting room, sent by an earlier run. The second message changes nothing:
    # its execution finds the ticket leased or processed.
    for ticket in tickets:
        target.waiting_room_for(ticket.submission).send(ticket.to_message())
