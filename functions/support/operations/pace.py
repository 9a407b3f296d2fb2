"""The pace of one environment of the consumer: quick while tickets get through, slow while they do not.

As TCP does with a network whose capacity nobody knows: the pause shrinks a little with every ticket that gets
through and grows threefold with every one that is deferred again, so that all environments together settle a
little below what the model's quota gives. What they leave is for new tickets, which do not wait.
"""

import random
import time
from collections.abc import Callable

# Seconds.
_FIRST_PAUSE = 2.0
LONGEST_PAUSE = 10.0
_NO_PAUSE = 0.05
_SPEED_UP = 0.95
_SLOW_DOWN = 3.0


class Pace:
    """The pause between the end of one ticket and the beginning of the next."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._pause = 0.0
        self._ended = clock()

    def wait(self) -> None:
        """Wait until it is time for the next ticket, for 0.5 to 1.5 pauses, so that no two keep step."""
        pause = self._pause * random.uniform(0.5, 1.5)  # noqa: S311 (no secret)
        self._sleep(max(0.0, self._ended + pause - self._clock()))

    def passed(self) -> None:
        """A ticket got through."""
        self._ended = self._clock()
        self._pause = self._pause * _SPEED_UP if self._pause > _NO_PAUSE else 0.0

    def deferred(self) -> None:
        """A ticket was deferred again."""
        self._ended = self._clock()
        self._pause = min(LONGEST_PAUSE, max(_FIRST_PAUSE, self._pause * _SLOW_DOWN))
