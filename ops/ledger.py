"""The account of a log: every execution in it belongs to a submission, and every submission met one fate."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from ops.failed import FailedTicket, Identity
from ops.logs import Execution
from support.domain.errors import InvalidTicket
from support.domain.ticket import Ticket

# Twice what EXPRESS allows: an execution that has not ended by then has no end in the log.
_LOST_AFTER = timedelta(minutes=10)


class Fate(StrEnum):
    """What became of a submission, in the words of the report."""

    PROCESSED = "processed and announced"
    UNDER_WAY = "may still end: started within the last ten minutes"
    WAITING = "left alone: in the waiting room"
    QUEUED = "left alone: in the failed-tickets queue (make replay)"
    STORED = "left alone: in the table (make replay, or the sweep)"
    LOST = "in the log alone: to be started again"
    CUT = "cannot be started again: the log does not hold the input"
    NO_SUBMISSION = "left alone: the input is not a submission"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An execution that came to nothing, and from whose input no ticket can be made."""

    execution: Execution
    fate: Fate
    reason: str


@dataclass(frozen=True, slots=True)
class Entry:
    """How many executions and submissions met a fate."""

    fate: Fate
    executions: int
    submissions: int


@dataclass(slots=True)
class Ledger:
    """The executions of a log by submission, of which only a digest is kept: there may be millions."""

    now: datetime
    unreadable: list[Unreadable] = field(default_factory=list)
    _executions: Counter[bytes] = field(default_factory=Counter)
    _processed: set[bytes] = field(default_factory=set)
    _under_way: set[bytes] = field(default_factory=set)
    _deferred: dict[bytes, datetime] = field(default_factory=dict)
    _failed: dict[bytes, FailedTicket] = field(default_factory=dict)

    def enter(self, execution: Execution) -> None:
        """Account for one execution."""
        try:
            ticket = _ticket(execution, self.now)
            key, reason = _digest(ticket), ""
        except InvalidTicket as error:
            # Nothing tells which submission this was of: it stands for itself.
            ticket, key, reason = None, execution.arn.encode(), str(error)
        self._executions[key] += 1
        if execution.is_processed:
            self._processed.add(key)
        elif _may_still_end(execution, self.now):
            self._under_way.add(key)
        elif execution.is_deferred:
            moment = execution.ended_at or self.now
            self._deferred[key] = max(moment, self._deferred.get(key, moment))
        elif execution.is_duplicate:
            pass  # It says nothing about the submission.
        elif ticket is None:
            is_cut = execution.truncated or execution.input is None
            fate = Fate.CUT if is_cut else Fate.NO_SUBMISSION
            self.unreadable.append(Unreadable(execution, fate, reason))
        else:
            failed = _failed(execution, ticket, self.now)
            other = self._failed.get(key, failed)
            self._failed[key] = max(failed, other, key=lambda one: one.failed_at)

    def came_to_nothing(self) -> list[FailedTicket]:
        """The submissions that no execution processed and none may still process, oldest first.

        One that was processed once is not among them, though it be gone from the table: it was deleted since.
        Neither is one whose latest execution deferred it: its message holds it.
        """
        found = [
            replace(failed, attempts=self._executions[key])
            for key, failed in self._failed.items()
            if key not in self._processed and key not in self._under_way and not self._waits(key)
        ]
        return sorted(found, key=lambda failed: failed.failed_at)

    def account(self, fates: Mapping[Identity, Fate]) -> list[Entry]:
        """How many executions and submissions met each fate; `fates` has those of `came_to_nothing`."""
        unreadable = {one.execution.arn.encode(): one.fate for one in self.unreadable}
        executions: Counter[Fate] = Counter()
        submissions: Counter[Fate] = Counter()
        for key, count in self._executions.items():
            if key in self._processed:
                fate = Fate.PROCESSED
            elif key in self._under_way:
                fate = Fate.UNDER_WAY
            elif self._waits(key):
                fate = Fate.WAITING
            elif key in self._failed:
                fate = fates[self._failed[key].ticket.identity]
            else:
                # Of some there are only duplicates: these found the ticket in the table.
                fate = unreadable.get(key, Fate.STORED)
            executions[fate] += count
            submissions[fate] += 1
        return [Entry(fate, executions[fate], submissions[fate]) for fate in Fate if executions[fate]]

    def _waits(self, key: bytes) -> bool:
        if key not in self._deferred:
            return False
        failed = self._failed.get(key)
        return failed is None or failed.failed_at <= self._deferred[key]


def _ticket(execution: Execution, now: datetime) -> Ticket:
    if execution.truncated:
        raise InvalidTicket("its input is cut in the log.")
    if execution.input is None:
        raise InvalidTicket("the log does not hold its input.")
    try:
        submission = json.loads(execution.input)
    except (ValueError, RecursionError):
        submission = None
    if not isinstance(submission, Mapping):
        raise InvalidTicket("its input is not a submission.")
    return Ticket.from_submission(submission, now=execution.began or now, retention_days=0)


def _digest(ticket: Ticket) -> bytes:
    return hashlib.sha256(json.dumps(ticket.identity).encode()).digest()[:16]


def _may_still_end(execution: Execution, now: datetime) -> bool:
    began = execution.began
    return execution.ended is None and began is not None and now - began <= _LOST_AFTER


def _failed(execution: Execution, ticket: Ticket, now: datetime) -> FailedTicket:
    return FailedTicket(
        ticket=ticket,
        submission=json.loads(execution.input or "{}"),
        execution=execution.arn,
        error=execution.error or "NeverEnded",
        cause=execution.cause,
        failed_at=execution.ended_at or execution.began or now,
        found=("log",),
    )
