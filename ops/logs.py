"""The executions of the state machine, read from its log group: of EXPRESS there is no other history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

_ENDS = {"ExecutionSucceeded", "ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"}
# Two lines of an execution instead of about 24: CloudWatch Logs leaves the states' lines out.
_PATTERN = '{ $.type = "Execution*" }'
# What lasts at most this long began in the log when it ended in it.
_LONGEST = timedelta(minutes=5)


@dataclass(slots=True)
class Execution:
    """One execution as far as the log tells.

    `input` and `output` are JSON, None when they are not logged; a `truncated` input is cut. `ended` is the
    type of the event that ended it.
    """

    arn: str
    began: datetime | None = None
    input: str | None = None
    truncated: bool = False
    ended: str | None = None
    ended_at: datetime | None = None
    output: str | None = None
    error: str = ""
    cause: str = ""

    @property
    def name(self) -> str:
        """The execution's name: `arn:…:express:MACHINE:NAME:UUID`, or `arn:…:execution:MACHINE:NAME`."""
        parts = self.arn.split(":")
        return parts[7] if len(parts) > 7 else self.arn

    @property
    def is_processed(self) -> bool:
        """Whether its ticket was announced when it ended. To end well is not enough."""
        if self.ended != "ExecutionSucceeded":
            return False
        ticket = _object(_object(self.output).get("ticket"))
        return self.output is None or "notifiedAt" in ticket

    @property
    def is_deferred(self) -> bool:
        """Whether it put its ticket into the waiting room."""
        return self.ended == "ExecutionSucceeded" and "failure" in _object(self.output)

    @property
    def is_duplicate(self) -> bool:
        """Whether it left its ticket to another execution."""
        return self.ended == "ExecutionSucceeded" and _object(self.output).get("isDuplicate") is True


def executions(client: CloudWatchLogsClient, group: str, since: datetime) -> Iterator[Execution]:
    """The executions that began or ended since then; most are forgotten as soon as their end was read.

    Raises botocore's errors.
    """
    unended: dict[str, Execution] = {}
    for line in _lines(client, group, since - _LONGEST):
        execution = unended.setdefault(line["execution_arn"], Execution(line["execution_arn"]))
        _note(execution, line)
        if execution.began and execution.ended:
            del unended[execution.arn]
            if max(execution.began, execution.ended_at or since) >= since:
                yield execution
    yield from (one for one in unended.values() if (one.began or one.ended_at or since) >= since)


def _note(execution: Execution, line: dict[str, Any]) -> None:
    details = _object(line.get("details"))
    moment = datetime.fromtimestamp(int(line["event_timestamp"]) / 1000, UTC)
    if line["type"] == "ExecutionStarted":
        execution.began = moment
        execution.input = details.get("input")
        # Logged as a boolean today; every other scalar is logged as text.
        execution.truncated = str(_object(details.get("inputDetails")).get("truncated")).lower() == "true"
    else:
        execution.ended = line["type"]
        execution.ended_at = moment
        execution.output = details.get("output")
        execution.error = details.get("error") or line["type"]
        execution.cause = details.get("cause") or ""


def _lines(client: CloudWatchLogsClient, group: str, since: datetime) -> Iterator[dict[str, Any]]:
    """The lines of executions' beginnings and ends, oldest first."""
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=group, startTime=round(since.timestamp() * 1000), filterPattern=_PATTERN
    )
    for page in pages:
        for event in page["events"]:
            line = _object(event["message"])
            kind = line.get("type")
            if isinstance(line.get("execution_arn"), str) and (kind == "ExecutionStarted" or kind in _ENDS):
                yield line


def _object(value: object) -> dict[str, Any]:
    """A JSON object, or the one that a text holds; an empty one for anything else."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}
