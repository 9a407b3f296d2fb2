"""The pace at which one execution environment of Resume processes tickets.

Like TCP's congestion control: the pause between tickets shrinks a little with every ticket that is processed
and triples with every ticket that is deferred again. All environments together settle a little below the
model's quota, which leaves capacity for new tickets.
"""

import random
import time
from collections.abc import Callable

# Seconds.
_FIRST_PAUSE = 2.0
LONGEST_PAUSE = 10.0
_SHORTEST_PAUSE = 0.05
_SPEED_UP_FACTOR = 0.95
_SLOW_DOWN_FACTOR = 3.0

# The operating system's: with SnapStart, all environments start with the same state of the default generator.
_uniform = random.SystemRandom().uniform


class Pace:
    """The pause between the end of one ticket and the start of the next."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        uniform: Callable[[float, float], float] = _uniform,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._uniform = uniform
        self._pause = 0.0
        self._ended = clock()

    def wait(self) -> None:
        """Wait for the rest of the pause, with a jitter of ±50 % that keeps environments out of step."""
        pause = self._pause * self._uniform(0.5, 1.5)
        self._sleep(max(0.0, self._ended + pause - self._clock()))

    def speed_up(self) -> None:
        """Shorten the pause: a ticket was processed."""
        self._ended = self._clock()
        self._pause = self._pause * _SPEED_UP_FACTOR if self._pause > _SHORTEST_PAUSE else 0.0

    def slow_down(self) -> None:
        """Lengthen the pause: a ticket was deferred again."""
        self._ended = self._clock()
        self._pause = min(LONGEST_PAUSE, max(_FIRST_PAUSE, self._pause * _SLOW_DOWN_FACTOR))
