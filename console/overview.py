"""The numbers at a glance: metrics from CloudWatch, and open tickets from the API."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from console.ticket_api import TicketApi
from ops.log_reader import TimeWindow
from ops.queue import Queue
from ops.stack import DeployedStack
from ops.usage import Metric, Query, read_series

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


@dataclass(frozen=True, slots=True)
class Numbers:
    """`charts` shows the last hour, `today` has sums since midnight UTC, `latest` each last value."""

    by_status: Mapping[str, str]
    by_urgency: Mapping[str, int]
    waiting: int
    latest: Mapping[str, float]
    today: Mapping[str, float]
    charts: Mapping[str, Any]


class Overview:
    """Reads the numbers at most every 15 seconds, for all who look."""

    def __init__(self, stack: DeployedStack) -> None:
        self._stack = stack
        self._lock = threading.Lock()
        self._numbers: Numbers | None = None
        self._read_at = 0.0

    def read(self, api: TicketApi) -> Numbers:
        """The numbers. Raises botocore's errors, ApiProblem and httpx.HTTPError."""
        with self._lock:
            if self._numbers is None or time.monotonic() - self._read_at > _MAX_AGE_SECONDS:
                self._numbers = self._read(api, datetime.now(UTC))
                self._read_at = time.monotonic()
            return self._numbers

    def _read(self, api: TicketApi, now: datetime) -> Numbers:
        pages = {status: api.search(status=status, limit=_LIMIT) for status in _OPEN}
        urgencies = Counter(one.get("urgency") for page in pages.values() for one in page["tickets"])
        urls = map(self._stack.output, ("WaitingRoomQueueUrl", "PriorityWaitingRoomQueueUrl"))
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        series = self._series(TimeWindow(min(midnight, now - timedelta(hours=1)), now))
        return Numbers(
            {status: f"{len(page['tickets'])}{'+' * ('cursor' in page)}" for status, page in pages.items()},
            {urgency: urgencies[urgency] for urgency in ("CRITICAL", "HIGH", "MEDIUM", "LOW")},
            sum(Queue(self._stack.client("sqs"), url).size() for url in urls),
            {name: values[max(values)] for name, values in series.items() if values},
            {name: sum(v for t, v in values.items() if t >= midnight) for name, values in series.items()},
            {
                "flow": _chart(series, ("accepted", "processed", "failed"), now, step=1, missing=0),
                "triage": _chart(series, ("p50", "p95"), now, step=5, missing=None),
            },
        )

    def _series(self, window: TimeWindow) -> dict[str, dict[datetime, float]]:
        dimensions = (("service", "support-pipeline"), ("Stage", self._stack.parameters["Stage"]))
        queries = [
            Query(Metric("SupportPipeline", metric, dimensions), statistic, timedelta(minutes=minutes))
            for metric, statistic, minutes in _METRICS.values()
        ]
        series = read_series(self._stack.client("cloudwatch"), queries, window)
        return dict(zip(_METRICS, (series[query] for query in queries), strict=True))


def _chart(
    series: Mapping[str, Mapping[datetime, float]],
    names: tuple[str, ...],
    now: datetime,
    *,
    step: int,
    missing: float | None,
) -> dict[str, Any]:
    """Labels and values of the last hour, every `step` minutes."""
    end = now.replace(minute=now.minute - now.minute % step, second=0, microsecond=0)
    times = [end - timedelta(minutes=minutes) for minutes in range(60 - step, -1, -step)]
    lines = {name: [series[name].get(moment, missing) for moment in times] for name in names}
    return {"labels": [f"{moment:%H:%M}" for moment in times], "lines": lines}
