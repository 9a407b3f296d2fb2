"""The states of executions, from the state machine's log."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from ops.execution_log import LoggedEvent, execution_name, outcome
from ops.formatting import one_line, sanitize
from ops.log_reader import TimeWindow, read_lines

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

# The events of an attempt, by how the state calls its task: an integration, or the ARN of a function.
_ATTEMPT_EVENT = re.compile("(?:Task|LambdaFunction|Activity)([A-Z][A-Za-z]+)")
_OPEN = ("Scheduled", "Started", "Submitted")
# A state whose entry is not in the log, until its exit names it.
_NOT_LOGGED = "(not logged)"
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class Attempt:
    """One attempt of a Task. It is open until `ended_at`; `error` has the error's name if it failed."""

    began_at: datetime
    ended_at: datetime | None = None
    error: str = ""
    cause: str = ""


@dataclass(slots=True)
class EnteredState:
    """A state that an execution entered.

    `kind` is its type, such as Task. `input` and `output` are JSON, or None when they are not logged.
    `exited_at` is None in a Fail state, or if the log does not contain it.
    """

    name: str
    entered_at: datetime
    kind: str = ""
    input: str | None = None
    exited_at: datetime | None = None
    output: str | None = None
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def tries(self) -> int:
        """The number of attempts."""
        return len(self.attempts)

    @property
    def errors(self) -> list[str]:
        """The errors' names, one for each attempt that failed."""
        return [attempt.error for attempt in self.attempts if attempt.error]

    @property
    def waited(self) -> timedelta:
        """The time between the attempts."""
        pairs = pairwise(self.attempts)
        return sum((b.began_at - a.ended_at for a, b in pairs if a.ended_at), timedelta())

    def apply(self, event: LoggedEvent) -> None:
        """Add what an event of the log says about the state."""
        if event.type.endswith("StateExited"):
            if self.name == _NOT_LOGGED:
                self.name, self.kind = _name(event), event.type.removesuffix("StateExited")
            self.exited_at, self.output = event.time, event.details.get("output")
        elif step := _ATTEMPT_EVENT.fullmatch(event.type):
            # Without TaskStarted or TaskScheduled in the log, an attempt begins with the first known event.
            if step[1] == "Scheduled" or not self.attempts or self.attempts[-1].ended_at:
                self.attempts.append(Attempt(event.time))
            if step[1] not in _OPEN:
                self.attempts[-1].ended_at = event.time
            if step[1].endswith(("Failed", "TimedOut")):
                self.attempts[-1].error = sanitize(event.details.get("error") or "States.Timeout")
                self.attempts[-1].cause = str(event.details.get("cause") or "")


@dataclass(slots=True)
class ExecutionStates:
    """One execution, its states and its events in their order, as far as the log contains them."""

    arn: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    end_event: str = ""
    states: list[EnteredState] = field(default_factory=list)
    events: list[LoggedEvent] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of the execution."""
        return execution_name(self.arn)

    @property
    def begin(self) -> datetime:
        """The time of the first known event."""
        return self.started_at or (self.events[0].time if self.events else _NEVER)

    @property
    def outcome(self) -> str:
        """How the execution ended, in one or two words; empty if the log does not contain that."""
        last = self.states[-1].name if self.states else ""
        is_deferred, is_duplicate = last == "Ticket Deferred", last == "Duplicate Ignored"
        return outcome(self.end_event, is_deferred=is_deferred, is_duplicate=is_duplicate)

    def apply(self, event: LoggedEvent) -> None:
        """Add an event of the log."""
        self.events.append(event)
        if event.type == "ExecutionStarted":
            self.started_at = event.time
        elif event.is_end:
            self.end_event, self.ended_at = event.type, event.time
        elif event.type.endswith("StateEntered"):
            kind = event.type.removesuffix("StateEntered")
            self.states.append(EnteredState(_name(event), event.time, kind, event.details.get("input")))
        elif event.type.endswith("StateExited") or _ATTEMPT_EVENT.fullmatch(event.type):
            if not self.states or self.states[-1].exited_at:
                self.states.append(EnteredState(_NOT_LOGGED, event.time))
            self.states[-1].apply(event)


def _name(event: LoggedEvent) -> str:
    return one_line(str(event.details.get("name") or _NOT_LOGGED))


def read_executions_named(
    client: CloudWatchLogsClient, log_group: str, name: str, window: TimeWindow
) -> list[ExecutionStates]:
    """The executions that are called `name`, or `name-…` as those from the waiting room, oldest first.

    Raises botocore's errors.
    """
    lines = read_lines(client, log_group, "execution_arn", f"*:{name}*", window)
    events = [event for line in lines if (event := LoggedEvent.parse(line))]
    executions = [
        execution for execution in parse_executions(events) if f"{execution.name}-".startswith(f"{name}-")
    ]
    return sorted(executions, key=lambda execution: execution.begin)


def read_states(
    client: CloudWatchLogsClient, log_group: str, execution: str, window: TimeWindow
) -> list[EnteredState]:
    """The states of an execution, of which the name or the ARN is given. Raises botocore's errors."""
    found = read_executions_named(client, log_group, execution_name(execution), window)
    # Names may be repeated: then the last one.
    matching = [one for one in found if execution in (one.arn, one.name)]
    return matching[-1].states if matching else []


def parse_executions(events: Iterable[LoggedEvent]) -> list[ExecutionStates]:
    """The executions of events in any order, of which some may be repeated or missing."""
    by_arn: dict[str, dict[int, LoggedEvent]] = {}
    for event in events:
        by_arn.setdefault(event.arn, {})[event.number] = event
    executions = []
    for arn, numbered in by_arn.items():
        execution = ExecutionStates(arn)
        for number in sorted(numbered):
            execution.apply(numbered[number])
        executions.append(execution)
    return executions
