"""What becomes of replayed tickets: announced, failed again, or still waiting at a deadline."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Protocol

from ops.failed import FailedTicket, Identity, from_message, lookup
from ops.outcome import Outcome, Result
from ops.queue import Queue
from ops.run import Run
from support.domain.errors import InvalidTicket
from support.domain.ticket import Ticket

_POLL_SECONDS = 1
_READ_QUEUE_EVERY = 10


class Listener(Protocol):
    """Hears of what is watched."""

    def end(self, result: Result) -> None:
        """One was processed, or failed."""

    def tick(self) -> None:
        """About a second has passed."""


def watch(tickets: Sequence[FailedTicket], run: Run, listener: Listener) -> list[Result]:
    """Watch tickets until each has ended, at most for the run's deadline; the others go on by themselves.

    Raises:
        StoreUnavailable, StoreRejected: the table cannot be read.
    """
    target = run.target
    results: list[Result] = []
    waiting = list(tickets)
    began = run.clock()
    for turn in count(1):
        late = run.clock() - began >= run.deadline
        stored = lookup(target.table, [failed.ticket for failed in waiting])
        hidden = _hidden(waiting, stored) if late or turn % _READ_QUEUE_EVERY == 0 else []
        errors = _new_failures(hidden, target.failed_tickets)
        still_waiting = []
        for failed in waiting:
            result = _result(failed, stored.get(failed.ticket.identity), errors, late=late)
            if result:
                results.append(result)
                listener.end(result)
            else:
                still_waiting.append(failed)
        waiting = still_waiting
        if not waiting:
            break
        listener.tick()
        run.pause(_POLL_SECONDS)
    return results


def _result(
    failed: FailedTicket, stored: Ticket | None, errors: dict[Identity, str], *, late: bool
) -> Result | None:
    before = failed.stored
    if stored and stored.notified_at:
        known = before is not None and before.notified_at is not None
        return Result(failed=failed, outcome=Outcome.PROCESSED_BEFORE if known else Outcome.PROCESSED)
    if stored and stored.needs_replay and (before is None or _ran_since(before, stored)):
        error = stored.failure["error"] if stored.failure else ""
        return Result(failed=failed, outcome=Outcome.FAILED_AGAIN, reason=error)
    if again := errors.get(failed.ticket.identity):
        return Result(failed=failed, outcome=Outcome.FAILED_AGAIN, reason=again)
    if late:
        reason = stored.waiting_for if stored else None
        return Result(failed=failed, outcome=Outcome.WAITING, reason=reason or "")
    return None


def _ran_since(before: Ticket, now: Ticket) -> bool:
    # One that was being processed when we looked first has not failed yet in this attempt. One that is given
    # up before it was claimed has another failure, though no more attempts.
    return now.attempts > before.attempts or not before.needs_replay or now.failure != before.failure


def _hidden(waiting: Sequence[FailedTicket], stored: dict[Identity, Ticket]) -> list[FailedTicket]:
    """Those whose next failure the table would not show: never stored, or processed but not announced."""
    return [
        failed
        for failed in waiting
        if (ticket := stored.get(failed.ticket.identity)) is None or ticket.analysis is not None
    ]


def _new_failures(tickets: Sequence[FailedTicket], failed_tickets: Queue) -> dict[Identity, str]:
    """The error of those, by identity, of which the queue holds a failure of another execution."""
    if not tickets:
        return {}
    known = {failed.ticket.identity: _executions(failed) for failed in tickets}
    errors: dict[Identity, str] = {}
    with failed_tickets.held() as messages:
        for message in messages:
            try:
                again = from_message(message)
            except InvalidTicket:
                continue
            if again.execution not in known.get(again.ticket.identity, {again.execution}):
                errors[again.ticket.identity] = again.error
    return errors


def _executions(failed: FailedTicket) -> set[str]:
    return {failed.execution, *(from_message(message).execution for message in failed.messages)}
