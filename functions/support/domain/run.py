"""One run of the state machine: who holds a ticket's lease."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from support.domain.ticket import timestamp
from support.domain.waiting import predecessor

# As long as EXPRESS lets an execution run: when the lease ends, so has its holder.
_LEASE = timedelta(seconds=300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An execution, by its name and ARN.

    AWS may run a start twice: `entered_at`, the time at which it entered the state that takes the lease,
    tells two runs of one ARN apart. A retry within the state has the same time. `predecessor` is the ARN of
    the execution whose lease this one takes over.
    """

    name: str
    arn: str
    entered_at: str
    predecessor: str | None = None

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Self:
        """The run that calls Store."""
        return cls(
            name=event["execution"],
            arn=event["run"],
            entered_at=event["enteredAt"],
            predecessor=predecessor(event["submission"]),
        )

    @property
    def holder(self) -> str:
        """The run as the holder of a lease; begins with its ARN."""
        return f"{self.arn} {self.entered_at}"

    def lease_end(self, now: datetime) -> str:
        """When a lease that begins now ends."""
        return timestamp(now + _LEASE)
