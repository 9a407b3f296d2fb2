"""The executions in the state machine's log group: EXPRESS has no other execution history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops.log_reader import json_object

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

_END_EVENTS = {"ExecutionSucceeded", "ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"}
# Two events per execution instead of about 24: CloudWatch Logs filters out those of the states.
FILTER_PATTERN = '{ $.type = "Execution*" }'
# EXPRESS ends an execution after five minutes.
MAX_DURATION = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event in the history of an execution, in which `number` counts the events from 1."""

    arn: str
    number: int
    type: str
    time: datetime
    details: dict[str, Any]

    @classmethod
    def parse(cls, line: object) -> LoggedEvent | None:
        """The event in a line of the log; None if the line does not contain one."""
        event = json_object(line)
        arn, kind = event.get("execution_arn"), event.get("type")
        if not isinstance(arn, str) or not isinstance(kind, str):
            return None
        try:
            time = datetime.fromtimestamp(int(event["event_timestamp"]) / 1000, UTC)
            return cls(arn, int(event.get("id", 0)), kind, time, json_object(event.get("details")))
        except (KeyError, TypeError, ValueError, OverflowError, OSError):
            return None

    @property
    def is_end(self) -> bool:
        """Whether the event ended the execution."""
        return self.type in _END_EVENTS


@dataclass(slots=True)
class LoggedExecution:
    """One execution, as far as the log describes it.

    `input` and `output` are JSON, or None when they are not logged. `end_event` is the type of the event that
    ended the execution.
    """

    arn: str
    started_at: datetime | None = None
    input: str | None = None
    is_input_truncated: bool = False
    end_event: str | None = None
    ended_at: datetime | None = None
    output: str | None = None
    error: str = ""
    cause: str = ""

    def apply(self, event: LoggedEvent) -> None:
        """Add what the event that started or ended the execution says about it."""
        details = event.details
        if event.type == "ExecutionStarted":
            self.started_at = event.time
            self.input = details.get("input")
            # A boolean today, but every other scalar is logged as text.
            truncated = json_object(details.get("inputDetails")).get("truncated")
            self.is_input_truncated = str(truncated).lower() == "true"
        else:
            self.end_event = event.type
            self.ended_at = event.time
            self.output = details.get("output")
            self.error = details.get("error") or event.type
            self.cause = details.get("cause") or ""

    @property
    def is_processed(self) -> bool:
        """Whether the execution succeeded and sent the notification; without a logged output, assume so."""
        if self.end_event != "ExecutionSucceeded":
            return False
        ticket = json_object(json_object(self.output).get("ticket"))
        return self.output is None or "notifiedAt" in ticket

    @property
    def is_deferred(self) -> bool:
        """Whether the execution put its ticket into the waiting room."""
        return self.end_event == "ExecutionSucceeded" and "failure" in json_object(self.output)

    @property
    def is_duplicate(self) -> bool:
        """Whether the execution ended because another one processes its ticket."""
        return self.end_event == "ExecutionSucceeded" and json_object(self.output).get("isDuplicate") is True

    @property
    def outcome(self) -> str:
        """How the execution ended; empty if the log does not contain that."""
        return outcome(self.end_event, is_deferred=self.is_deferred, is_duplicate=self.is_duplicate)


def outcome(end_event: str | None, *, is_deferred: bool, is_duplicate: bool) -> str:
    """How an execution ended, in one or two words: notified, deferred, failed, timed out …"""
    if end_event == "ExecutionSucceeded":
        return "deferred" if is_deferred else "duplicate ignored" if is_duplicate else "notified"
    return (end_event or "").removeprefix("Execution").replace("TimedOut", "timed out").lower()


def execution_name(arn: str) -> str:
    """The name in an execution's ARN: `arn:…:express:MACHINE:NAME:UUID` or `arn:…:execution:MACHINE:NAME`."""
    parts = arn.split(":")
    return parts[7] if len(parts) > 7 else arn


def read_executions(
    client: CloudWatchLogsClient, log_group: str, since: datetime, *, unmask: bool = False
) -> Iterator[LoggedExecution]:
    """The executions that started or ended since then. Keeps only those in memory whose end was not read yet.

    `unmask` reads data that the log masks, so that the inputs are complete. Raises botocore's errors.
    """
    running: dict[str, LoggedExecution] = {}
    # An earlier start, so that executions that ended just after `since` are complete.
    for event in _read_events(client, log_group, since - MAX_DURATION, unmask=unmask):
        execution = running.setdefault(event.arn, LoggedExecution(event.arn))
        execution.apply(event)
        if execution.started_at and execution.ended_at:
            del running[event.arn]
            if max(execution.started_at, execution.ended_at) >= since:
                yield execution
    yield from (one for one in running.values() if (one.started_at or one.ended_at or since) >= since)


def _read_events(
    client: CloudWatchLogsClient, log_group: str, since: datetime, *, unmask: bool
) -> Iterator[LoggedEvent]:
    """The start and end events of executions, oldest first."""
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=log_group,
        startTime=round(since.timestamp() * 1000),
        filterPattern=FILTER_PATTERN,
        unmask=unmask,
    )
    for page in pages:
        for log_event in page["events"]:
            event = LoggedEvent.parse(log_event["message"])
            if event and (event.is_end or event.type == "ExecutionStarted"):
                yield event
