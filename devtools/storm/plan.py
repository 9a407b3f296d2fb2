"""The options of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from devtools.load.plan import Plan, read_seed, whole_number


@dataclass(frozen=True, slots=True, kw_only=True)
class StormPlan(Plan):
    """The number of tickets, the calls that the model accepts a second, and the seconds of its outage."""

    quota: int = 2
    outage: int = 30

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], *, tickets: int) -> Self:
        """Read SEED (a random number), N (`tickets`), QUOTA (2) and OUTAGE (30).

        Raises:
            ValueError: one of them is not a whole number, or out of range.
        """
        return cls(
            seed=read_seed(environment),
            tickets=whole_number(environment, "N", tickets, 1, 5_000),
            quota=whole_number(environment, "QUOTA", 2, 1, 1_000),
            outage=whole_number(environment, "OUTAGE", 30, 1, 600),
        )

    @property
    def quota_seconds(self) -> float:
        """How long the quota takes for one call per ticket."""
        return self.tickets / self.quota
