"""What a run does, and when: all of it follows from the seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from devtools.chaos.faults import Fault
from devtools.chaos.proxy import SERVICES
from devtools.load.plan import Plan, read_seed, whole_number

MODEL_FAULTS = {"throttle": 0.3, "malformed": 0.1}
FAILING_CALLS = 0.1
# What two cores can process while functions are killed. At a higher rate most tickets would only wait.
_TICKETS_PER_SECOND = 5
_FEW_TICKETS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosPlan(Plan):
    """A run of `tickets` tickets, sent by `concurrency` clients."""

    concurrency: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read SEED (a random number), N (500) and CONCURRENCY (8).

        Raises:
            ValueError: one of them is not a whole number, or out of range.
        """
        return cls(
            seed=read_seed(environment),
            tickets=whole_number(environment, "N", 500, 1, 10_000),
            concurrency=whole_number(environment, "CONCURRENCY", 8, 1, 64),
        )

    @property
    def load_seconds(self) -> float:
        """How long customers send tickets."""
        return max(8.0, self.tickets / _TICKETS_PER_SECOND)

    @property
    def outage_seconds(self) -> float:
        """How long the outage of each service lasts."""
        return 3.0 if self.tickets < _FEW_TICKETS else 10.0

    @property
    def tail_seconds(self) -> float:
        """How long faults continue after the load, unless all executions end before."""
        return 10.0 if self.tickets < _FEW_TICKETS else 60.0

    @property
    def outage(self) -> dict[str, Any]:
        """The proxy's faults for a service during its outage: every call fails, without effect and at once.

        Calls that time out would occupy the few processes of each function, and most tickets would only wait.
        """
        kinds = [Fault.THROTTLED, Fault.FAILED, Fault.DROPPED]
        return {"probability": FAILING_CALLS, "outageSeconds": self.outage_seconds, "kinds": kinds}

    def outages(self) -> dict[str, float]:
        """When the outage of each service starts, in seconds after the start of the load."""
        random = self.random("outages")
        return {service: random.uniform(0.1, 0.8) * self.load_seconds for service in SERVICES}

    def arrivals(self) -> list[float]:
        """When each ticket is sent, in seconds after the start of the load."""
        random = self.random("arrivals")
        return sorted(random.uniform(0, self.load_seconds) for _ in range(self.tickets))

    def service_faults(self) -> dict[str, Any]:
        """The proxy's faults outside of outages."""
        return {service: {"probability": FAILING_CALLS} for service in SERVICES} | {"seed": self.seed}

    def model_faults(self) -> dict[str, Any]:
        """The faults of the model."""
        return MODEL_FAULTS | {"seed": self.seed}
