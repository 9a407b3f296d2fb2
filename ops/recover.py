"""Recover: tickets that only the log holds, because table, topic and queue were all down, are replayed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from ops.failed import FailedTicket, Identity, from_message, lookup
from ops.ledger import Fate, Ledger
from ops.logs import executions
from ops.replay import follow
from ops.report import count, harmless
from ops.run import Run
from ops.target import Target
from support.domain.errors import InvalidTicket


def recover(run: Run, since: timedelta) -> int:
    """List what only the log holds and replay it; return the exit code: 1 when a ticket is still missing.

    Raises:
        PipelineError, ClientError, BotoCoreError: AWS did not do its part; nothing is lost by it.
    """
    target, report = run.target, run.report
    now = datetime.now(UTC)
    ledger = Ledger(now)
    with report.busy(f"Reading {target.log_group} …"):
        for execution in executions(target.logs, target.log_group, now - since):
            ledger.enter(execution)
        candidates = ledger.came_to_nothing()
        fates = _fates(candidates, target)
    lost = [failed for failed in candidates if fates[failed.ticket.identity] is Fate.LOST]
    report.account(ledger.account(fates))
    for one in ledger.unreadable:
        report.say(f"Execution {harmless(one.execution.name)} cannot be repeated: {one.reason}")
    missing = any(one.fate is Fate.CUT for one in ledger.unreadable)
    if not lost:
        report.say(f"No ticket is in the log alone in {target.title}: there is nothing to recover.")
        return int(missing)
    report.say(f"{count(len(lost), 'ticket')} in the log alone in {target.title}:")
    report.tickets(lost, now)
    if run.dry_run:
        report.say("Dry run: nothing was changed.")
        return 0
    # Some may be on their way already: a second message finds its ticket leased or processed.
    for failed in lost:
        target.waiting_room_for(failed.submission).send(failed.to_message())
    processed = follow(run, lost)
    return 0 if processed and not missing else 1


def _fates(candidates: Sequence[FailedTicket], target: Target) -> dict[Identity, Fate]:
    """Where else each submission is that came to nothing: in a queue, in the table, or nowhere."""
    if not candidates:
        return {}
    queued = set()
    with target.failed_tickets.held() as messages:
        for message in messages:
            try:
                queued.add(from_message(message).ticket.identity)
            except InvalidTicket:
                continue
    absent = [failed.ticket for failed in candidates if failed.ticket.identity not in queued]
    # Last: what was on its way while the log was read is stored by now.
    stored = lookup(target.table, absent)

    def fate(identity: Identity) -> Fate:
        if identity in queued:
            return Fate.QUEUED
        if identity not in stored:
            return Fate.LOST
        return Fate.WAITING if stored[identity].waiting_since else Fate.STORED

    return {failed.ticket.identity: fate(failed.ticket.identity) for failed in candidates}
