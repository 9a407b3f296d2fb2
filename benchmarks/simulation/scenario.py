"""What is simulated: the load, the model's outage and quota, and the durations of the steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from benchmarks.cost.quantities import ASSUMPTIONS
from benchmarks.results import figure
from devtools.load.plan import whole_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """The seconds that an execution takes when it does not have to wait."""

    before_model: float
    model: float
    after_model: float

    @classmethod
    def from_document(cls, document: Mapping[str, Any], *, bench_model_seconds: float) -> Self:
        """The times of a results document, with a model that answers at once.

        Raises:
            ValueError: the time of a single ticket was not measured.
        """
        steps = _figure(document, "single.announcedMs") / 1000 - bench_model_seconds
        # One of the three other functions runs before the model is called.
        return cls(before_model=steps / 3, model=0, after_model=steps * 2 / 3)


def nova_seconds(document: Mapping[str, Any]) -> float:
    """How long Nova Lite takes for its answer: an assumption for each token, see assumptions.toml.

    Raises:
        ValueError: the tokens were not measured.
    """
    return float(_figure(document, "tokens.output") * ASSUMPTIONS["model"]["ms_per_output_token"] / 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A load with an outage; times in seconds from the start, rates per second."""

    rate: float
    seconds: float
    """How long tickets arrive."""
    is_even: bool
    """Whether tickets arrive at equal intervals, or independently of one another (a Poisson process)."""
    outage_start: float
    outage_seconds: float
    quota: int
    """The calls that the model accepts per second, and at once."""
    quota_start: float
    resume_concurrency: int

    @property
    def tickets(self) -> int:
        """The number of tickets that arrive."""
        return round(self.rate * self.seconds)

    @property
    def outage_end(self) -> float:
        """When the model answers again."""
        return self.outage_start + self.outage_seconds

    @classmethod
    def day(cls, environment: Mapping[str, str]) -> Self:
        """Read RATE, HOURS, OUTAGE (seconds), QUOTA and RESUME; the outage starts after the first hour.

        Raises:
            ValueError: one of them is not a whole number, or out of range.
        """
        return cls(
            rate=whole_number(environment, "RATE", 100, 1, 10_000),
            seconds=3600 * whole_number(environment, "HOURS", 3, 2, 24),
            is_even=False,
            outage_start=3600,
            outage_seconds=whole_number(environment, "OUTAGE", 600, 1, 3600),
            quota=whole_number(environment, "QUOTA", 125, 1, 100_000),
            quota_start=0,
            resume_concurrency=whole_number(environment, "RESUME", 100, 2, 1000),
        )

    @classmethod
    def storm(cls, environment: Mapping[str, str]) -> Self:
        """The load of `make storm SCENARIO=outage` with the same N, OUTAGE (seconds) and QUOTA.

        Raises:
            ValueError: one of them is not a whole number, or out of range.
        """
        outage = whole_number(environment, "OUTAGE", 30, 1, 600)
        return cls(
            rate=whole_number(environment, "N", 120, 1, 5_000) / (2 * outage),
            seconds=2 * outage,
            is_even=True,
            outage_start=outage / 2,
            outage_seconds=outage,
            quota=whole_number(environment, "QUOTA", 2, 1, 1_000),
            quota_start=1.5 * outage,
            resume_concurrency=whole_number(environment, "RESUME", 5, 2, 1000),
        )


def _figure(document: Mapping[str, Any], key: str) -> float:
    value = figure(document, key)
    if value is None:
        raise ValueError(f"{key} was not measured: run `make bench PARTS=single,tokens`.")
    return value
