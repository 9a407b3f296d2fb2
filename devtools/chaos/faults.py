"""The fault that a call meets: at random, or because of an outage of the service."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self


class Fault(StrEnum):
    """What the client sees. With a *late* fault, the service has executed the call all the same."""

    THROTTLED = "throttled"
    FAILED = "failed"
    TIMED_OUT = "timedOut"
    TIMED_OUT_LATE = "timedOutLate"
    DROPPED = "dropped"
    DROPPED_LATE = "droppedLate"

    @property
    def is_executed(self) -> bool:
        """Whether the service executes the call, although the client gets no response."""
        return self in (Fault.TIMED_OUT_LATE, Fault.DROPPED_LATE)


class InvalidFaultsError(Exception):
    """The body of POST /_faults is invalid."""


@dataclass(frozen=True, slots=True)
class ServiceFaults:
    """How often a service's calls fail, and for how long all of them do. All `kinds` are equally likely."""

    probability: float = 0.0
    outage_seconds: float = 0.0
    kinds: tuple[Fault, ...] = tuple(Fault)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read `{"probability"?: 0..1, "outageSeconds"?: number ≥ 0, "kinds"?: [fault, …]}`."""
        faults = cls(
            probability=float(document.get("probability", 0)),
            outage_seconds=float(document.get("outageSeconds", 0)),
            kinds=tuple(Fault(kind) for kind in document.get("kinds", Fault)),
        )
        if not (0 <= faults.probability <= 1 and faults.outage_seconds >= 0 and faults.kinds):
            raise ValueError("out of range")
        return faults


@dataclass
class Faults:
    """Draws a fault for every call. A seed makes the draws reproducible. The clock counts seconds."""

    clock: Callable[[], float] = time.monotonic
    _services: dict[str, ServiceFaults] = field(default_factory=dict)
    _outage_ends: dict[str, float] = field(default_factory=dict)
    _random: random.Random = field(default_factory=random.Random)

    def configure(self, document: object) -> None:
        """Set `{service: faults, …, "seed"?: int}`; services that are not named keep their faults.

        Raises:
            InvalidFaultsError: the document is invalid; no faults have changed.
        """
        if not isinstance(document, dict):
            raise InvalidFaultsError("The body must be a JSON object.")
        try:
            services = {
                name: ServiceFaults.from_document(faults)
                for name, faults in document.items()
                if name != "seed"
            }
        except (AttributeError, TypeError, ValueError) as error:
            raise InvalidFaultsError(f"{error}: see {__name__}.ServiceFaults for what is allowed.") from error
        if "seed" in document:
            self._random.seed(document["seed"])
        self._services |= services
        self._outage_ends |= {name: self.clock() + faults.outage_seconds for name, faults in services.items()}

    def draw(self, service: str) -> Fault | None:
        """The fault of the service's next call; None if it does not fail."""
        faults = self._services.get(service)
        if faults is None:
            return None
        in_outage = self.clock() < self._outage_ends[service]
        # Always draw both, so that an outage does not change later draws.
        fails, kind = self._random.random() < faults.probability, self._random.choice(faults.kinds)
        return kind if in_outage or fails else None
