"""What a run of chaos does, and when: all of it follows from the seed."""

import random
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from devtools.chaos.faults import Fault
from devtools.chaos.proxy import SERVICES

MODEL_FAULTS = {"throttle": 0.3, "malformed": 0.1}
FAILING_CALLS = 0.1
# What two cores carry though functions are killed: were it more, nearly all would only wait for a function.
_TICKETS_PER_SECOND = 5
_FEW = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """A run of `tickets` tickets, of which at most `concurrency` are being sent at a time."""

    seed: int
    tickets: int = 500
    concurrency: int = 8

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read SEED (a random one), N (500) and CONCURRENCY (8); raises ValueError."""
        plan = cls(
            seed=int(environment.get("SEED") or secrets.randbelow(1_000_000)),
            tickets=int(environment.get("N") or 500),
            concurrency=int(environment.get("CONCURRENCY") or 8),
        )
        if not (1 <= plan.tickets <= 10_000 and 1 <= plan.concurrency <= 64):
            raise ValueError("N must be from 1 to 10000, and CONCURRENCY from 1 to 64.")
        return plan

    def chance(self, purpose: str) -> random.Random:
        """Random numbers of its own for each purpose, so that one does not shift another's."""
        return random.Random(f"{self.seed}:{purpose}")  # noqa: S311 (no secret)

    @property
    def load_seconds(self) -> float:
        """How long customers keep sending."""
        return max(8.0, self.tickets / _TICKETS_PER_SECOND)

    @property
    def outage_seconds(self) -> float:
        """How long each service is out."""
        return 3.0 if self.tickets < _FEW else 10.0

    @property
    def tail_seconds(self) -> float:
        """How long faults go on after the load, unless all executions end before."""
        return 10.0 if self.tickets < _FEW else 60.0

    @property
    def outage(self) -> dict[str, Any]:
        """What the proxy is told of a service that is out: it does nothing, and says so fast.

        Calls that hang would hold the few workers that a function has here, and most tickets would only wait.
        """
        kinds = [Fault.THROTTLED, Fault.FAILED, Fault.DROPPED]
        return {"probability": FAILING_CALLS, "outageSeconds": self.outage_seconds, "kinds": kinds}

    def outages(self) -> dict[str, float]:
        """When each service's outage begins, in seconds from the start of the load."""
        chance = self.chance("outages")
        return {service: chance.uniform(0.1, 0.8) * self.load_seconds for service in SERVICES}

    def arrivals(self) -> list[float]:
        """When each ticket is sent, in seconds from the start of the load."""
        chance = self.chance("arrivals")
        return sorted(chance.uniform(0, self.load_seconds) for _ in range(self.tickets))

    def faults(self) -> dict[str, Any]:
        """What the proxy is told for the whole storm."""
        return {service: {"probability": FAILING_CALLS} for service in SERVICES} | {"seed": self.seed}

    def model_faults(self) -> dict[str, Any]:
        """What the model is told for the whole storm."""
        return MODEL_FAULTS | {"seed": self.seed}
