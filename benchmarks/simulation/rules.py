"""The pipeline's own rules: the model's retries and the delay before the waiting room."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import yaml

from local.settings import PROJECT

_DEFINITION = PROJECT / "statemachine" / "ticket_pipeline.asl.yaml"


@dataclass(frozen=True, slots=True)
class Retry:
    """A Retry of the state machine with `JitterStrategy: FULL`; times in seconds."""

    interval: float
    attempts: int
    backoff_rate: float

    def waits(self) -> Iterator[float]:
        """The wait before each retry, while there are retries left."""
        for attempt in range(self.attempts):
            yield random.uniform(0, self.interval * self.backoff_rate**attempt)  # noqa: S311 (no secret)


@cache
def model_retries() -> dict[str, Retry]:
    """The retries of Classify Ticket, by error."""
    state = yaml.safe_load(_DEFINITION.read_text())["States"]["Classify Ticket"]
    return {
        error: Retry(retry["IntervalSeconds"], retry["MaxAttempts"], retry["BackoffRate"])
        for retry in state["Retry"]
        for error in retry["ErrorEquals"]
    }


def deferral_delay() -> int:
    """Seconds before a deferred ticket can be received: States.MathRandom(1, 21) in Defer Ticket."""
    return random.randint(1, 20)  # noqa: S311 (no secret)
