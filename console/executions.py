"""The latest executions, read from the state machine's log group while somebody looks at them."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from console.errors import advice, is_throttled
from ops.execution_log import FILTER_PATTERN, LoggedEvent, LoggedExecution, execution_name
from ops.log_reader import json_object

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

STATUSES = ("running", "succeeded", "deferred", "duplicate", "failed", "timed out", "aborted", "unknown")
PAGE_SIZE = 100
# EXPRESS ends an execution after five minutes; lines arrive later than what they describe.
MAX_DURATION = timedelta(minutes=5)
MARGIN = timedelta(minutes=2)
_SLICE = timedelta(hours=1)
_WATCHED_SECONDS = 30.0
_RUN_OF_TICKET = re.compile(r"-[rs][0-9a-f]+$")


@dataclass(slots=True)
class Execution:
    """An execution in the list. `status` is one of STATUSES, and empty until the log has an end."""

    arn: str
    name: str
    ticket_id: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    status: str = ""

    @property
    def time(self) -> datetime:
        """When the execution started or, if the log lacks that, ended."""
        return self.started_at or self.ended_at or datetime.max.replace(tzinfo=UTC)

    def apply(self, event: LoggedEvent) -> None:
        """Add a start or an end. Keeps neither input nor output, which may be large."""
        logged = LoggedExecution(event.arn)
        logged.apply(event)
        if logged.started_at:
            self.started_at = logged.started_at
            self.ticket_id = str(json_object(logged.input).get("ticketId") or self.ticket_id)
        else:
            self.ended_at = logged.ended_at
            self.status = end_status(event.type, deferred=logged.is_deferred, duplicate=logged.is_duplicate)


def end_status(end_event: str, *, deferred: bool, duplicate: bool) -> str:
    """The status of an execution that has ended."""
    if end_event == "ExecutionSucceeded":
        return "deferred" if deferred else "duplicate" if duplicate else "succeeded"
    return end_event.removeprefix("Execution").replace("TimedOut", "timed out").lower()


def open_status(started_at: datetime, now: datetime) -> str:
    """The status of an execution whose end is not in the log."""
    return "running" if now - started_at < MAX_DURATION + MARGIN else "unknown"


class ExecutionIndex:
    """The newest executions of a log group, at most `limit`.

    One thread reads for all pages: what is new and, slice by slice, as far back as somebody has asked for.
    `version` changes with the executions, `problem` says why they may be out of date, and `complete_since` is
    how far back they are complete.
    """

    def __init__(self, client: CloudWatchLogsClient, log_group: str, *, limit: int = 5_000) -> None:
        self._client = client
        self._log_group = log_group
        self._limit = limit
        self._by_arn: dict[str, Execution] = {}
        self._read_until = self._wanted_since = self.complete_since = datetime.now(UTC)
        self._watched_at = float("-inf")
        self._wake_up, self._is_current = threading.Event(), threading.Event()
        self.version = 0
        self.problem = ""

    def start(self) -> None:
        """Start the thread, which ends with the process."""
        threading.Thread(target=self._run, name="execution-index", daemon=True).start()

    def watch(self) -> None:
        """Keep reading for another 30 seconds."""
        is_idle = time.monotonic() - self._watched_at > _WATCHED_SECONDS
        self._watched_at = time.monotonic()
        if is_idle:
            self._is_current.clear()
            self._wake_up.set()

    def read(self, since: datetime, patience: float = 2) -> list[Execution]:
        """The executions since then, newest first; waits `patience` seconds at most until they are read."""
        self._wanted_since = min(self._wanted_since, since)
        if since < self.complete_since:
            self._is_current.clear()
            self._wake_up.set()
        self.watch()
        self._is_current.wait(patience)
        # A copy, because the thread goes on reading.
        found = [one for one in list(self._by_arn.values()) if one.time >= since]
        return sorted(found, key=lambda one: (one.time, one.arn), reverse=True)

    @property
    def is_full(self) -> bool:
        """Whether older executions were left out."""
        return len(self._by_arn) >= self._limit

    def update(self, now: datetime) -> bool:
        """Read what is new and one older slice; return whether all that was asked for is read.

        Raises botocore's errors.
        """
        self._apply(self._events(self._read_until - MARGIN, now))
        self._read_until = now
        if self._wanted_since < self.complete_since and not self.is_full:
            start = max(self._wanted_since, self.complete_since - _SLICE)
            self._apply(self._events(start, self.complete_since))
            self.complete_since = start
        self._drop_oldest()
        return self.is_full or self.complete_since <= self._wanted_since

    def _run(self) -> None:
        while True:
            self._wake_up.wait(self._step())
            self._wake_up.clear()

    def _step(self) -> float | None:
        """Read if somebody looks; return after how many seconds to read again."""
        if time.monotonic() - self._watched_at > _WATCHED_SECONDS:
            return None
        try:
            is_complete = self.update(datetime.now(UTC))
        except (ClientError, BotoCoreError) as error:
            self.problem = "CloudWatch Logs delays the list." if is_throttled(error) else advice(error)
            self._is_current.set()
            return 5
        self.problem = ""
        if is_complete:
            self._is_current.set()
        return 1 if is_complete else 0

    def _apply(self, events: Iterable[LoggedEvent]) -> None:
        for event in events:
            known = self._by_arn.get(event.arn)
            before = known and (known.started_at, known.status)
            execution = known or _new_execution(event.arn)
            execution.apply(event)
            self._by_arn[event.arn] = execution
            self.version += before != (execution.started_at, execution.status)

    def _events(self, start: datetime, end: datetime) -> Iterator[LoggedEvent]:
        pages = self._client.get_paginator("filter_log_events").paginate(
            logGroupName=self._log_group,
            filterPattern=FILTER_PATTERN,
            startTime=round(start.timestamp() * 1000),
            endTime=round(end.timestamp() * 1000),
        )
        for page in pages:
            for line in page["events"]:
                event = LoggedEvent.parse(line["message"])
                if event and (event.is_end or event.type == "ExecutionStarted"):
                    yield event

    def _drop_oldest(self) -> None:
        surplus = len(self._by_arn) - self._limit
        if surplus > 0:
            by_time = sorted(self._by_arn.values(), key=lambda one: one.time)
            for one in by_time[:surplus]:
                del self._by_arn[one.arn]
            self.complete_since = by_time[surplus].time


def _new_execution(arn: str) -> Execution:
    name = execution_name(arn)
    return Execution(arn, name, _RUN_OF_TICKET.sub("", name))


def select(
    executions: Iterable[Execution], *, status: str, ticket: str, after: str, now: datetime
) -> tuple[list[Execution], str]:
    """A page of the executions with a status and a ticket id that begins with `ticket`.

    It starts after the execution with the ARN `after`. The second value is the one for the next page, or empty.
    """
    found = [
        one
        for one in executions
        if (not status or (one.status or open_status(one.time, now)) == status)
        and (one.ticket_id.startswith(ticket) or one.name.startswith(ticket))
    ]
    start = next((number + 1 for number, one in enumerate(found) if one.arn == after), 0)
    page = found[start : start + PAGE_SIZE]
    return page, page[-1].arn if len(found) > start + PAGE_SIZE else ""
