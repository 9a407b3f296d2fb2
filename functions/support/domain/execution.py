"""The execution that processes a ticket, and its lease."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from support.domain.ticket import timestamp
from support.domain.waiting import predecessor

# EXPRESS ends an execution after 300 seconds, so a lease does not expire while its holder still runs.
_LEASE = timedelta(seconds=300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """An execution, by its name and ARN.

    AWS may run one start twice, with the same ARN. `entered_at`, the time at which the state that takes the
    lease was entered, distinguishes the two; a retry of the state keeps the time. `predecessor` is the ARN of
    the execution whose lease this one takes over.
    """

    name: str
    arn: str
    entered_at: str
    predecessor: str | None = None

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Self:
        """The execution that calls Store Ticket."""
        return cls(
            name=event["execution"],
            arn=event["run"],
            entered_at=event["enteredAt"],
            predecessor=predecessor(event["submission"]),
        )

    @property
    def lease_holder(self) -> str:
        """The execution as the holder of a lease; starts with its ARN."""
        return f"{self.arn} {self.entered_at}"

    def lease_end(self, now: datetime) -> str:
        """The end of a lease that starts now."""
        return timestamp(now + _LEASE)
