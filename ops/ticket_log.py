"""What the logs contain about one ticket: the states of an execution, and the functions' lines."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ops.execution_log import execution_name
from ops.formatting import one_line, sanitize

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

MAX_LINES = 20

_MAX_VALUE = 300
# Fields of the functions' log lines. None contains what a customer wrote.
_FIELDS = ("status", "error", "reason", "model", "deferralError", "uncaughtError", "since", "by")
_FUNCTION = re.compile(r"[A-Za-z]+Function")
# What a filter pattern takes literally.
_LITERAL = re.compile(r"[A-Za-z0-9_:-]+")


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """The part of a log to read."""

    start: datetime
    end: datetime


@dataclass(slots=True)
class EnteredState:
    """A state that an execution entered, and the error of its last attempt that failed."""

    name: str
    entered_at: datetime
    failures: int = 0
    error: str = ""


def read_states(
    client: CloudWatchLogsClient, log_group: str, execution: str, window: TimeWindow
) -> list[EnteredState]:
    """The states of an execution, of which the name or the ARN is given, in their order.

    Raises botocore's errors.
    """
    name = execution_name(execution)
    if not _LITERAL.fullmatch(name):
        return []
    # Names may be repeated: then the execution that the log contains last.
    executions: dict[str, list[dict[str, Any]]] = {}
    for message in _filter(client, log_group, f'{{ $.execution_arn = "*:{name}*" }}', window):
        event = json.loads(message)
        if execution in (event["execution_arn"], execution_name(event["execution_arn"])):
            executions.setdefault(event["execution_arn"], []).append(event)
    last = [*executions.values()][-1] if executions else []
    return _states(sorted(last, key=lambda event: int(event["id"])))


def read_lines(client: CloudWatchLogsClient, log_group: str, ticket_id: str, window: TimeWindow) -> list[str]:
    """The last MAX_LINES lines of the functions about a ticket: time, function, level, message and fields.

    Raises botocore's errors.
    """
    if not _LITERAL.fullmatch(ticket_id):
        return []
    messages = _filter(client, log_group, f'{{ $.ticketId = "{ticket_id}" }}', window)
    return [_format(json.loads(message)) for message in deque(messages, MAX_LINES)]


def _states(events: Iterable[Mapping[str, Any]]) -> list[EnteredState]:
    states: list[EnteredState] = []
    for event in events:
        details = event.get("details", {})
        if event["type"].endswith("StateEntered"):
            entered_at = datetime.fromtimestamp(int(event["event_timestamp"]) / 1000, UTC)
            states.append(EnteredState(one_line(details["name"]), entered_at))
        elif states and event["type"] in ("TaskFailed", "TaskTimedOut"):
            states[-1].failures += 1
            states[-1].error = sanitize(details.get("error") or "States.Timeout")
    return states


def _format(line: dict[str, Any]) -> str:
    function = _FUNCTION.search(str(line.get("function_name", "")))
    fields = [f"{name}={line[name]}" for name in _FIELDS if line.get(name)]
    parts = [line.get("timestamp"), function and function[0], line.get("level"), line.get("message"), *fields]
    return "  ".join(one_line(str(part))[:_MAX_VALUE] for part in parts if part)


def _filter(client: CloudWatchLogsClient, log_group: str, pattern: str, window: TimeWindow) -> Iterator[str]:
    """The messages of a log group that match a pattern, oldest first."""
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=log_group,
        filterPattern=pattern,
        startTime=round(window.start.timestamp() * 1000),
        endTime=round(window.end.timestamp() * 1000),
    )
    for page in pages:
        yield from (event["message"] for event in page["events"])
