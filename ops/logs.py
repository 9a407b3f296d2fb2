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
# What lasts at most this long began in the log when it ended in it.
_LONGEST = timedelta(minutes=5)
_PAGE = 10_000


@dataclass(slots=True)
class Execution:
    """One execution as far as the log tells; `input` is JSON, cut when `truncated`, None when not logged.

    `ended` is the type of the event that ended it. A success keeps the ticket's id, and not the input.
    """

    arn: str
    began: datetime | None = None
    input: str | None = None
    ticket_id: str | None = None
    truncated: bool = False
    ended: str | None = None
    ended_at: datetime | None = None
    error: str = ""
    cause: str = ""

    @property
    def name(self) -> str:
        """The execution's name: `arn:…:express:MACHINE:NAME:UUID`, or `arn:…:execution:MACHINE:NAME`."""
        parts = self.arn.split(":")
        return parts[7] if len(parts) > 7 else self.arn

    @property
    def succeeded(self) -> bool:
        """Whether it came to its end."""
        return self.ended == "ExecutionSucceeded"


def executions(client: CloudWatchLogsClient, group: str, since: datetime) -> list[Execution]:
    """The executions that began or ended since then. Raises botocore's errors."""
    known: dict[str, Execution] = {}
    for line in _lines(client, group, since - _LONGEST):
        arn, event = line.get("execution_arn"), line.get("type")
        if isinstance(arn, str) and (event == "ExecutionStarted" or event in _ENDS):
            _note(known.setdefault(arn, Execution(arn)), line)
    return [one for one in known.values() if any(m and m >= since for m in (one.began, one.ended_at))]


def _note(execution: Execution, line: dict[str, Any]) -> None:
    details = line.get("details") or {}
    moment = datetime.fromtimestamp(int(line["event_timestamp"]) / 1000, UTC)
    if line["type"] == "ExecutionStarted":
        execution.began = moment
        execution.input = details.get("input")
        # Logged as a boolean today; every other scalar is logged as text.
        execution.truncated = str(details.get("inputDetails", {}).get("truncated")).lower() == "true"
        execution.ticket_id = _ticket_id(execution.input)
    else:
        execution.ended = line["type"]
        execution.ended_at = moment
        execution.error = details.get("error") or line["type"]
        execution.cause = details.get("cause") or ""
    if execution.succeeded:
        execution.input = None  # Millions succeed: only their ids are needed.


def _ticket_id(execution_input: str | None) -> str | None:
    try:
        ticket_id = json.loads(execution_input or "null")["ticketId"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return ticket_id if isinstance(ticket_id, str) else None


def _lines(client: CloudWatchLogsClient, group: str, since: datetime) -> Iterator[dict[str, Any]]:
    for message in _messages(client, group, round(since.timestamp() * 1000)):
        # Most lines are of states; parsing them all would take most of the time.
        if '"Execution' in message:
            try:
                line = json.loads(message)
            except (ValueError, RecursionError):
                continue
            if isinstance(line, dict):
                yield line


def _messages(client: CloudWatchLogsClient, group: str, since: int) -> Iterator[str]:
    """All log lines since then, in epoch milliseconds."""
    paginator = client.get_paginator("filter_log_events")
    while True:
        events: list[Any] = []
        for page in paginator.paginate(logGroupName=group, startTime=since):
            events = page["events"]
            yield from (event["message"] for event in events)
        # The embedded AWS ends after one full page, without a token: go on from the last line's time. Reading
        # some lines twice changes nothing.
        if len(events) < _PAGE or events[-1]["timestamp"] <= since:
            return
        since = events[-1]["timestamp"]
