"""The progress of a replay: the result of each ticket, and an estimate of the time left."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from ops.failed_tickets import FailedTicket

_WINDOW_SECONDS = 180
_MIN_SAMPLE_SECONDS = 30
_LINE_INTERVAL_SECONDS = 15


class ReplayOutcome(StrEnum):
    """How the replay of a ticket ended, as the report shows it."""

    PROCESSED = "processed"
    ALREADY_PROCESSED = "already processed"
    FAILED_AGAIN = "failed again"
    WAITING = "still waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """The outcome of a ticket's replay; `reason` is the error of a failure, or what the ticket waits for."""

    ticket: FailedTicket
    outcome: ReplayOutcome
    reason: str = ""


class Progress:
    """Counts the tickets whose replay has ended. `clock` returns seconds."""

    def __init__(self, total: int, clock: Callable[[], float]) -> None:
        self._total = total
        self._clock = clock
        self._ended = 0
        self._processed = 0
        self._samples = deque([(clock(), 0)])
        self._last_line_at = clock()

    def count(self, *, is_processed: bool) -> None:
        """Count a ticket that was processed or that failed again."""
        self._ended += 1
        self._processed += is_processed

    def line(self) -> str:
        """`120 of 2,000 processed, about 14 min left`, at most every 15 seconds; otherwise empty."""
        now = self._clock()
        if now - self._last_line_at < _LINE_INTERVAL_SECONDS:
            return ""
        self._last_line_at = now
        counts = f"{self._processed:,} of {self._total:,} processed"
        time_left = self.time_left()
        return f"{counts}, {time_left}" if time_left else counts

    def time_left(self) -> str:
        """`about 14 min left` at the rate of the last three minutes; empty while there is too little data."""
        now = self._clock()
        self._samples.append((now, self._ended))
        while now - self._samples[0][0] > _WINDOW_SECONDS:
            self._samples.popleft()
        window_start, ended_before = self._samples[0]
        ended = self._ended - ended_before
        if not ended or now - window_start < _MIN_SAMPLE_SECONDS:
            return ""
        minutes = (self._total - self._ended) * (now - window_start) / ended / 60
        if minutes < 1:
            return "less than a minute left"
        return f"about {minutes:.0f} min left" if minutes < 120 else f"about {minutes / 60:.0f} h left"
