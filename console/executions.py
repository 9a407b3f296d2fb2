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

from console.errors import advice
from ops.execution_log import FILTER_PATTERN, MAX_DURATION, LoggedEvent, LoggedExecution, execution_name
from ops.log_reader import json_object

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

NOT_ENDED = "not ended in the log"
ENDS = ("notified", "deferred", "duplicate ignored", "failed", "timed out", "aborted")
STATUSES = ("running", *ENDS, NOT_ENDED)
PAGE_SIZE = 100
# Lines arrive later than what they describe.
MARGIN = timedelta(minutes=2)
_MAX_GAP = timedelta(hours=1)
_WATCHED_SECONDS = 30.0


@dataclass(slots=True)
class Execution:
    """An execution in the list: neither input nor output, which may be large."""

    arn: str
    name: str
    ticket_id: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: str = ""

    @property
    def time(self) -> datetime:
        """When the execution started or, if the log lacks that, ended."""
        return self.started_at or self.ended_at or datetime.max.replace(tzinfo=UTC)

    def status(self, now: datetime) -> str:
        """One of STATUSES."""
        return self.outcome or open_status(self.time, now)

    def apply(self, event: LoggedEvent) -> bool:
        """Add a start or an end; return whether it is new."""
        before, logged = (self.started_at, self.outcome), LoggedExecution(event.arn)
        logged.apply(event)
        if event.is_end:
            self.ended_at, self.outcome = event.time, logged.outcome
        else:
            self.started_at, self.ticket_id = event.time, ticket_of(event)
        return before != (self.started_at, self.outcome)


def ticket_of(event: LoggedEvent) -> str:
    """The ticket's id, from the execution's input or, without it, from the execution's name."""
    found = json_object(event.details.get("input")).get("ticketId")
    return str(found or re.sub("-[rs][0-9a-f]+$", "", execution_name(event.arn)))


def open_status(started_at: datetime, now: datetime) -> str:
    """The status of an execution whose end is not in the log."""
    return "running" if now - started_at < MAX_DURATION + MARGIN else NOT_ENDED


class ExecutionIndex:
    """The newest executions of a log group, at most `limit`.

    One thread reads for all pages: what is new and, slice by slice, as far back as somebody has asked for.
    `version` changes with the executions, `problem` says why they may be out of date, and `complete_since` is
    how far back they are complete.
    """

    def __init__(self, client: CloudWatchLogsClient, log_group: str, *, limit: int = 5_000) -> None:
        self._client, self._log_group, self._limit = client, log_group, limit
        self._by_arn: dict[str, Execution] = {}
        self._read_until = self._wanted_since = self.complete_since = datetime.now(UTC)
        self._watched_at = float("-inf")
        self._wake_up, self._is_current = threading.Event(), threading.Event()
        self.version, self.problem, self.is_full = 0, "", False

    def start(self) -> None:
        """Start the thread, which ends with the process."""
        threading.Thread(target=self._run, name="execution-index", daemon=True).start()

    def watch(self, *, again: bool = False) -> None:
        """Keep reading for another 30 seconds; `again` if what has been read is not enough."""
        if again or time.monotonic() - self._watched_at > _WATCHED_SECONDS:
            self._is_current.clear()
            self._wake_up.set()
        self._watched_at = time.monotonic()

    def read(self, since: datetime, patience: float = 2) -> list[Execution]:
        """The executions since then, newest first; waits `patience` seconds at most until they are read."""
        self._wanted_since = min(self._wanted_since, since)
        self.watch(again=since < self.complete_since and not self.is_full)
        self._is_current.wait(patience)
        # A copy, because the thread goes on reading.
        found = [one for one in list(self._by_arn.values()) if one.time >= since]
        return sorted(found, key=lambda one: (one.time, one.arn), reverse=True)

    def update(self, now: datetime) -> bool:
        """Read what is new and one older slice; return whether all is read. Raises botocore's errors."""
        if now - self._read_until > _MAX_GAP:  # Start again, with the newest.
            self._by_arn, self.is_full = {}, False
            self._read_until = self.complete_since = now
        self._apply(self._events(self._read_until - MARGIN, now))
        self._read_until = now
        if self._wanted_since < self.complete_since and not self.is_full:
            # A slice as long as what has been read: a busy stack is not read far beyond the limit.
            start = self.complete_since - max(MARGIN, now - self.complete_since)
            start = max(self._wanted_since, start)
            self._apply(self._events(start, self.complete_since))
            self.complete_since = start
        if len(self._by_arn) > self._limit:
            kept = sorted(self._by_arn.values(), key=lambda one: one.time)[-self._limit :]
            self._by_arn = {one.arn: one for one in kept}
            self.complete_since, self.is_full = kept[0].time, True
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
            is_complete, self.problem = self.update(datetime.now(UTC)), ""
        except (ClientError, BotoCoreError) as error:
            is_complete, self.problem = True, advice(error)
        if is_complete:
            self._is_current.set()
        return 5 if self.problem else int(is_complete)

    def _apply(self, events: Iterable[LoggedEvent]) -> None:
        for event in events:
            new = Execution(event.arn, execution_name(event.arn), ticket_of(event))
            self.version += self._by_arn.setdefault(event.arn, new).apply(event)

    def _events(self, start: datetime, end: datetime) -> Iterator[LoggedEvent]:
        pages = self._client.get_paginator("filter_log_events").paginate(
            logGroupName=self._log_group,
            filterPattern=FILTER_PATTERN,
            startTime=round(start.timestamp() * 1000),
            endTime=round(end.timestamp() * 1000),
        )
        for line in (line for page in pages for line in page["events"]):
            event = LoggedEvent.parse(line["message"])
            if event and (event.is_end or event.type == "ExecutionStarted"):
                yield event


def select(
    executions: Iterable[Execution], now: datetime, *, status: str = "", ticket: str = "", after: str = ""
) -> tuple[list[Execution], str]:
    """A page of the executions with a status and a ticket id that begins with `ticket`.

    It starts after the execution with the ARN `after`; the second value is that of the next page, or empty.
    """
    found = [
        one
        for one in executions
        if (one.ticket_id.startswith(ticket) or one.name.startswith(ticket))
        and status in ("", one.status(now))
    ]
    start = next((number + 1 for number, one in enumerate(found) if one.arn == after), 0)
    page = found[start : start + PAGE_SIZE]
    return page, page[-1].arn if len(found) > start + PAGE_SIZE else ""
