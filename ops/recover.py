"""Recover: tickets that only the log holds, because table, topic and queue were all down, are replayed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ops.failed import FailedTicket, from_message, lookup
from ops.logs import Execution, executions
from ops.replay import follow
from ops.report import count, harmless
from ops.run import Run
from ops.target import Target
from support.domain.errors import InvalidTicket
from support.domain.ticket import Ticket

# Twice what EXPRESS allows: who has not ended by then has no end in the log.
_LOST_AFTER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrecoverable:
    """An execution that cannot be repeated; `is_loss` when a ticket may be lost with it."""

    execution: Execution
    reason: str
    is_loss: bool


def recover(run: Run, since: timedelta) -> int:
    """List what only the log holds and replay it; return the exit code: 1 when a ticket is still missing.

    Raises:
        PipelineError, ClientError, BotoCoreError: AWS did not do its part; nothing is lost by it.
    """
    target, report = run.target, run.report
    if waiting := target.replays.waiting():
        # Not read like the other queue: three receives of a message take it out of this one.
        if not run.dry_run and not _drained(run):
            report.say(
                f"The replay queue still holds {count(waiting, 'message')}, whose tickets would be replayed "
                "twice: run this again when it is empty."
            )
            return 1
        if run.dry_run:
            report.say(f"Not looked into: the replay queue, with about {count(waiting, 'message')}.")
    now = datetime.now(UTC)
    with report.busy(f"Reading {target.log_group} …"):
        logged = executions(target.logs, target.log_group, now - since)
        candidates, unrecoverable = sift(logged, now)
        lost = _held_nowhere(candidates, target) if candidates else []
    for one in unrecoverable:
        report.say(f"Execution {harmless(one.execution.name)} cannot be repeated: {one.reason}")
    missing = any(one.is_loss for one in unrecoverable)
    if not lost:
        report.say(f"No ticket is in the log alone in {target.title}: there is nothing to recover.")
        return int(missing)
    report.say(f"{count(len(lost), 'ticket')} in the log alone in {target.title}:")
    report.tickets(lost, now)
    if run.dry_run:
        report.say("Dry run: nothing was changed.")
        return 0
    for failed in lost:
        target.replays.send(failed.to_message())
    processed = follow(run, lost)
    return 0 if processed and not missing else 1


def sift(logged: Sequence[Execution], now: datetime) -> tuple[list[FailedTicket], list[Unrecoverable]]:
    """The tickets whose executions all came to nothing, by their newest input; and what is no ticket.

    A ticket that was processed once is left alone, though it be gone from the table: it was deleted since.
    """
    by_ticket: dict[str, list[Execution]] = {}
    unrecoverable: list[Unrecoverable] = []
    for one in sorted(logged, key=lambda one: one.began or one.ended_at or now):
        if one.ticket_id is not None and not one.truncated:
            by_ticket.setdefault(one.ticket_id, []).append(one)
        elif _came_to_nothing(one, now):
            unrecoverable.append(_unrecoverable(one))
    candidates = []
    for attempts in by_ticket.values():
        if all(_came_to_nothing(one, now) for one in attempts):
            try:
                candidates.append(_lost(attempts))
            except InvalidTicket as error:
                unrecoverable.append(Unrecoverable(execution=attempts[-1], reason=str(error), is_loss=False))
    return candidates, unrecoverable


def _came_to_nothing(execution: Execution, now: datetime) -> bool:
    if execution.ended:
        return not execution.succeeded
    return execution.began is not None and now - execution.began > _LOST_AFTER


def _lost(attempts: Sequence[Execution]) -> FailedTicket:
    newest = attempts[-1]
    began = newest.began or newest.ended_at or datetime.now(UTC)
    submission = json.loads(newest.input or "{}")
    return FailedTicket(
        ticket=Ticket.from_submission(submission, now=began, retention_days=0),
        submission=submission,
        execution=newest.arn,
        error=newest.error or "NeverEnded",
        cause=newest.cause,
        failed_at=newest.ended_at or began,
        found=("log",),
        attempts=len(attempts),
    )


def _unrecoverable(execution: Execution) -> Unrecoverable:
    if execution.truncated:
        reason, is_loss = "its input is cut in the log.", True
    elif execution.input is None:
        reason, is_loss = "the log does not hold its input.", True
    else:
        reason, is_loss = "its input is no submission: it has no ticketId.", False
    return Unrecoverable(execution=execution, reason=reason, is_loss=is_loss)


def _held_nowhere(candidates: Sequence[FailedTicket], target: Target) -> list[FailedTicket]:
    """Those that neither the table nor the failed-tickets queue holds."""
    queued = set()
    with target.failed_tickets.held() as messages:
        for message in messages:
            try:
                queued.add(from_message(message).ticket_id)
            except InvalidTicket:
                continue
    absent = [failed for failed in candidates if failed.ticket_id not in queued]
    # Last: what was on its way while the log was read is stored by now.
    stored = lookup(target.table, [failed.ticket_id for failed in absent])
    return [failed for failed in absent if failed.ticket_id not in stored]


def _drained(run: Run) -> bool:
    with run.report.busy("Waiting for the replay queue to become empty …"):
        for _ in range(round(run.deadline)):
            if not run.target.replays.waiting():
                return True
            run.pause(1)
    return False
