"""Which fault hits a call: by probability, or because the service is out."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self


class Fault(StrEnum):
    """What a client meets. The *late* ones are the nasty ones: the call was carried out all the same."""

    THROTTLED = "throttled"
    FAILED = "failed"
    TIMED_OUT = "timedOut"
    TIMED_OUT_LATE = "timedOutLate"
    DROPPED = "dropped"
    DROPPED_LATE = "droppedLate"

    @property
    def is_carried_out(self) -> bool:
        """Whether the service did what it was asked, though the client does not hear of it."""
        return self in (Fault.TIMED_OUT_LATE, Fault.DROPPED_LATE)


class InvalidFaultsError(Exception):
    """The body of POST /_faults is not what is allowed."""


@dataclass(frozen=True, slots=True)
class ServiceFaults:
    """How often a service's calls fail, and for how long all of them do; each of `kinds` is as likely."""

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

    def to_document(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "probability": self.probability,
            "outageSeconds": self.outage_seconds,
            "kinds": list(self.kinds),
        }


@dataclass
class Faults:
    """Draws a fault for every call; a seed makes the draws repeatable. The clock is in seconds."""

    clock: Callable[[], float] = time.monotonic
    _services: dict[str, ServiceFaults] = field(default_factory=dict)
    _out_until: dict[str, float] = field(default_factory=dict)
    _random: random.Random = field(default_factory=random.Random)

    def configure(self, document: object) -> None:
        """Take `{service: faults, …, "seed"?: int}`; services that are not named stay as they are.

        Raises:
            InvalidFaultsError: the document is something else; nothing has changed then.
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
        self._out_until |= {name: self.clock() + faults.outage_seconds for name, faults in services.items()}

    def draw(self, service: str) -> Fault | None:
        """The fault that hits the service's next call, if any."""
        faults = self._services.get(service)
        if faults is None:
            return None
        is_out = self.clock() < self._out_until[service]
        # Both are drawn in any case, so that an outage does not shift the draws after it.
        is_hit, kind = self._random.random() < faults.probability, self._random.choice(faults.kinds)
        return kind if is_out or is_hit else None
