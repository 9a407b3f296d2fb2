"""The numbers at a glance: metrics from CloudWatch, and open tickets from the API."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from console.ticket_api import TicketApi
from ops.log_reader import TimeWindow
from ops.queue import Queue
from ops.stack import DeployedStack
from ops.usage import Query, pipeline_metric, read_series
from support.domain.analysis_schema import URGENCIES

_MAX_AGE_SECONDS = 15
# Each status is one request to the API: 100 or more tickets are shown as "100+".
_LIMIT = 100
_OPEN = ("RECEIVED", "PROCESSED", "IN_PROGRESS", "FAILED")
# Name → metric, statistic, period in minutes (docs/metrics.md).
_METRICS = {
    "accepted": ("TicketsReceived", "Sum", 1),
    "processed": ("TicketsProcessed", "Sum", 1),
    "failed": ("TicketsFailed", "Sum", 1),
    "p50": ("TimeToProcessed", "p50", 5),
    "p95": ("TimeToProcessed", "p95", 5),
    "oldest": ("OldestTicketWaiting", "Maximum", 5),
    "inputTokens": ("InputTokens", "Sum", 60),
    "outputTokens": ("OutputTokens", "Sum", 60),
    "cost": ("ModelCost", "Sum", 60),
}


class Overview:
    """Reads the numbers at most every 15 seconds, for all who look."""

    def __init__(self, stack: DeployedStack) -> None:
        self._stack = stack
        self._lock = threading.Lock()
        self._numbers: Mapping[str, Any] = {}
        self._read_at = float("-inf")

    def read(self, api: TicketApi) -> Mapping[str, Any]:
        """The values of the page. Raises botocore's errors, ApiProblem and httpx.HTTPError."""
        with self._lock:
            if time.monotonic() - self._read_at > _MAX_AGE_SECONDS:
                self._numbers = self._read(api, datetime.now(UTC))
                self._read_at = time.monotonic()
            return self._numbers

    def _read(self, api: TicketApi, now: datetime) -> Mapping[str, Any]:
        pages = {status: api.search(status=status, limit=_LIMIT) for status in _OPEN}
        urgencies = Counter(one.get("urgency") for page in pages.values() for one in page["tickets"])
        rooms = map(self._stack.output, ("WaitingRoomQueueUrl", "PriorityWaitingRoomQueueUrl"))
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        stage = self._stack.parameter("Stage")
        queries = [
            Query(pipeline_metric(stage, metric), statistic, timedelta(minutes=minutes))
            for metric, statistic, minutes in _METRICS.values()
        ]
        window = TimeWindow(min(midnight, now - timedelta(hours=1)), now)
        found = read_series(self._stack.client("cloudwatch"), queries, window)
        series = dict(zip(_METRICS, found.values(), strict=True))
        return {
            "by_status": {
                s: f"{len(page['tickets'])}{'+' * ('cursor' in page)}" for s, page in pages.items()
            },
            "by_urgency": {urgency: urgencies[urgency] for urgency in URGENCIES[::-1]},
            "waiting": sum(Queue(self._stack.client("sqs"), url).size() for url in rooms),
            "latest": {name: values[max(values)] for name, values in series.items() if values},
            "today": {n: sum(v for t, v in values.items() if t >= midnight) for n, values in series.items()},
            "flow": _chart(series, ("accepted", "processed", "failed"), now, step=1, missing=0),
            "triage": _chart(series, ("p50", "p95"), now, step=5, missing=None),
        }


def _chart(series: Any, names: Sequence[str], now: datetime, *, step: int, missing: float | None) -> Any:
    """Labels and values of the last hour, every `step` minutes."""
    end = now.replace(minute=now.minute - now.minute % step, second=0, microsecond=0)
    times = [end - timedelta(minutes=minutes) for minutes in range(60 - step, -1, -step)]
    lines = {name: [series[name].get(moment, missing) for moment in times] for name in names}
    return {"labels": [f"{moment:%H:%M}" for moment in times], "lines": lines}
