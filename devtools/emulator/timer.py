"""A countdown that can be paused, for time limits that exclude the wait for a worker."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class Timer:
    """A countdown in seconds. Several threads may pause it at the same time."""

    def __init__(self, seconds: float) -> None:
        self._lock = Lock()
        self._end = time.monotonic() + seconds
        self._pauses = 0
        self._paused_at = 0.0

    def remaining(self) -> float:
        """Seconds until the countdown ends; negative after its end."""
        with self._lock:
            return self._end - (self._paused_at if self._pauses else time.monotonic())

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pause the countdown while the block runs."""
        with self._lock:
            if not self._pauses:
                self._paused_at = time.monotonic()
            self._pauses += 1
        try:
            yield
        finally:
            with self._lock:
                self._pauses -= 1
                if not self._pauses:
                    self._end += time.monotonic() - self._paused_at
