"""A summary of the executions in the log: which submission each belongs to, and that submission's state."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from ops.execution_log import LoggedExecution
from ops.failed_tickets import FailedTicket, Identity
from support.domain.errors import InvalidTicket
from support.domain.ticket import Ticket

# Twice the maximum duration of an EXPRESS execution: after that, the end was not logged.
_END_NOT_LOGGED_AFTER = timedelta(minutes=10)


class SubmissionState(StrEnum):
    """The state of a submission, as the report shows it."""

    PROCESSED = "processed"
    RUNNING = "may still be running: started within the last ten minutes"
    WAITING = "skipped: in the waiting room"
    QUEUED = "skipped: in the failed-tickets queue (make replay)"
    STORED = "skipped: in the table (make replay, or the sweep)"
    LOST = "only in the log: to be replayed"
    TRUNCATED = "cannot be replayed: the log does not contain the input"
    INVALID = "skipped: the input is not a submission"


@dataclass(frozen=True, slots=True)
class UnreadableExecution:
    """An execution that did not process its ticket, and whose input contains no ticket."""

    execution: LoggedExecution
    state: SubmissionState
    reason: str


@dataclass(frozen=True, slots=True)
class StateCount:
    """How many executions and submissions have a state."""

    state: SubmissionState
    executions: int
    submissions: int


@dataclass(slots=True)
class LogSummary:
    """The executions by submission. Keeps only digests of the submissions, because there may be millions."""

    now: datetime
    _executions: Counter[bytes] = field(default_factory=Counter)
    _processed: set[bytes] = field(default_factory=set)
    _running: set[bytes] = field(default_factory=set)
    _deferred_at: dict[bytes, datetime] = field(default_factory=dict)
    _failed: dict[bytes, FailedTicket] = field(default_factory=dict)
    _unreadable: dict[bytes, UnreadableExecution] = field(default_factory=dict)

    def add(self, execution: LoggedExecution) -> None:
        """Add an execution."""
        try:
            ticket, reason = _parse_ticket(execution, self.now), ""
        except InvalidTicket as error:
            ticket, reason = None, str(error)
        # Without a ticket the submission is unknown: the execution counts as one of its own.
        key = _digest(ticket) if ticket else execution.arn.encode()
        self._executions[key] += 1
        if execution.is_processed:
            self._processed.add(key)
        elif _may_be_running(execution, self.now):
            self._running.add(key)
        elif execution.is_deferred:
            ended_at = execution.ended_at or self.now
            self._deferred_at[key] = max(ended_at, self._deferred_at.get(key, ended_at))
        elif execution.is_duplicate:
            pass  # It says nothing about the submission.
        elif ticket is None:
            self._unreadable[key] = _unreadable(execution, reason)
        else:
            failed = _failed_ticket(execution, ticket, self.now)
            other = self._failed.get(key, failed)
            self._failed[key] = max(failed, other, key=lambda one: one.failed_at)

    @property
    def unreadable(self) -> list[UnreadableExecution]:
        """The executions whose submission is unknown."""
        return [*self._unreadable.values()]

    def unprocessed(self) -> list[FailedTicket]:
        """The submissions that no execution has processed, and none may still process, oldest failure first.

        Excludes a submission that was once processed, even if the table no longer contains its ticket, which
        was then deleted; and one whose latest execution deferred it, which is in the waiting room.
        """
        tickets = [
            replace(ticket, attempts=self._executions[key])
            for key, ticket in self._failed.items()
            if key not in self._processed and key not in self._running and not self._is_waiting(key)
        ]
        return sorted(tickets, key=lambda ticket: ticket.failed_at)

    def state_counts(self, states: Mapping[Identity, SubmissionState]) -> list[StateCount]:
        """How many executions and submissions have each state; `states` are those of `unprocessed()`."""
        executions: Counter[SubmissionState] = Counter()
        submissions: Counter[SubmissionState] = Counter()
        for key, count in self._executions.items():
            state = self._state(key, states)
            executions[state] += count
            submissions[state] += 1
        return [
            StateCount(state, executions[state], submissions[state])
            for state in SubmissionState
            if executions[state]
        ]

    def _state(self, key: bytes, states: Mapping[Identity, SubmissionState]) -> SubmissionState:
        if key in self._processed:
            return SubmissionState.PROCESSED
        if key in self._running:
            return SubmissionState.RUNNING
        if self._is_waiting(key):
            return SubmissionState.WAITING
        if key in self._failed:
            return states[self._failed[key].identity]
        if key in self._unreadable:
            return self._unreadable[key].state
        # All its executions are duplicates, which found the ticket in the table.
        return SubmissionState.STORED

    def _is_waiting(self, key: bytes) -> bool:
        if key not in self._deferred_at:
            return False
        failed = self._failed.get(key)
        return failed is None or failed.failed_at <= self._deferred_at[key]


def _parse_ticket(execution: LoggedExecution, now: datetime) -> Ticket:
    if execution.is_input_truncated:
        raise InvalidTicket("its input is truncated in the log.")
    if execution.input is None:
        raise InvalidTicket("the log does not contain its input.")
    try:
        submission = json.loads(execution.input)
    except (ValueError, RecursionError):
        submission = None
    if not isinstance(submission, Mapping):
        raise InvalidTicket("its input is not a submission.")
    return Ticket.from_submission(submission, now=execution.started_at or now, retention_days=0)


def _digest(ticket: Ticket) -> bytes:
    return hashlib.sha256(json.dumps(ticket.identity).encode()).digest()[:16]


def _may_be_running(execution: LoggedExecution, now: datetime) -> bool:
    if execution.end_event or execution.started_at is None:
        return False
    return now - execution.started_at <= _END_NOT_LOGGED_AFTER


def _unreadable(execution: LoggedExecution, reason: str) -> UnreadableExecution:
    is_incomplete = execution.is_input_truncated or execution.input is None
    state = SubmissionState.TRUNCATED if is_incomplete else SubmissionState.INVALID
    return UnreadableExecution(execution, state, reason)


def _failed_ticket(execution: LoggedExecution, ticket: Ticket, now: datetime) -> FailedTicket:
    return FailedTicket(
        ticket=ticket,
        submission=json.loads(execution.input or "{}"),
        execution=execution.arn,
        error=execution.error or "NeverEnded",
        cause=execution.cause,
        failed_at=execution.ended_at or execution.started_at or now,
        found_in=("log",),
    )
