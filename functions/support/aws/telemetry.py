"""The logger and the metrics of all functions. Neither log lines nor metrics contain ticket content."""

import logging
import os
import time
from collections.abc import Mapping

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics

from support.domain.metrics import Metric


class Stopwatch(logging.Filter):
    """Adds `durationMs` to log lines: the milliseconds since the invocation started."""

    def __init__(self) -> None:
        super().__init__()
        self._started: float | None = None

    def start(self) -> None:
        """Call it at the start of each invocation; until then, lines have no duration."""
        self._started = time.perf_counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the duration; keep every line."""
        if self._started is not None:
            record.durationMs = round((time.perf_counter() - self._started) * 1000)
        return True


logger = Logger()
stopwatch = Stopwatch()
logger.addFilter(stopwatch)

_COMMON = {"service": logger.service, "Stage": os.environ["STAGE_NAME"]}


def record(values: Mapping[Metric, float], **dimensions: str) -> None:
    """Write metrics that have the same `by` as one log line; `dimensions` has a value for each dimension."""
    first, *others = next(iter(values)).by
    line = EphemeralMetrics(default_dimensions=_COMMON)
    for metric, value in values.items():
        line.add_metric(metric.name, metric.unit, value)
    if first:
        line.add_dimension(first, dimensions[first])
    for name in others:
        line.add_dimensions(**{name: dimensions[name]})
    line.flush_metrics()
