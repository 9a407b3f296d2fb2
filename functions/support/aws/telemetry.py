"""The logger and the metrics of all functions. Neither log lines nor metrics contain ticket content."""

import logging
import time

from aws_lambda_powertools import Logger, Metrics


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
metrics = Metrics()
stopwatch = Stopwatch()
logger.addFilter(stopwatch)
