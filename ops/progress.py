"""How far a command that watches tickets has come, and how long the rest may take."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

# Seconds.
_PACE_OF = 180
_SHORTEST = 30
_SAY_EVERY = 15


class Progress:
    """Counts tickets that end. `clock` is in seconds."""

    def __init__(self, total: int, clock: Callable[[], float]) -> None:
        self._total = total
        self._clock = clock
        self._ended = 0
        self._processed = 0
        self._seen = deque([(clock(), 0)])
        self._said_at = clock()

    def end(self, *, is_processed: bool) -> None:
        """Count one that was processed, or that failed."""
        self._ended += 1
        self._processed += is_processed

    def news(self) -> str:
        """A line such as `120 of 2,000 processed, about 14 min left`; nothing within 15 s of the last."""
        now = self._clock()
        if now - self._said_at < _SAY_EVERY:
            return ""
        self._said_at = now
        done = f"{self._processed:,} of {self._total:,} processed"
        estimate = self.estimate()
        return f"{done}, {estimate}" if estimate else done

    def estimate(self) -> str:
        """`about 14 min left`, if it goes on as in the last minutes; nothing while that says too little."""
        now = self._clock()
        self._seen.append((now, self._ended))
        while now - self._seen[0][0] > _PACE_OF:
            self._seen.popleft()
        began, ended_before = self._seen[0]
        ended = self._ended - ended_before
        if not ended or now - began < _SHORTEST:
            return ""
        minutes = (self._total - self._ended) * (now - began) / ended / 60
        if minutes < 1:
            return "less than a minute left"
        return f"about {minutes:.0f} min left" if minutes < 120 else f"about {minutes / 60:.0f} h left"
