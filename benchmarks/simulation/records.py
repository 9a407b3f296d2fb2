"""What a simulation records: each finished ticket, and the size of the backlog over time."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(slots=True)
class Ticket:
    """A ticket on its way; times in seconds from the start."""

    arrived: float
    throttled_calls: int = 0
    failed_calls: int = 0
    is_deferred: bool = False

    def count(self, error: str) -> None:
        """Count a call of the model that was not answered."""
        if error == "ModelThrottled":
            self.throttled_calls += 1
        else:
            self.failed_calls += 1


class Finished(NamedTuple):
    """A ticket whose notification was sent; times in seconds."""

    arrived: float
    seconds: float
    throttled_calls: int
    failed_calls: int
    is_deferred: bool


class Records:
    """All finished tickets, in columns: there may be millions."""

    def __init__(self) -> None:
        self.accepted = 0
        self.backlog: list[tuple[float, int]] = []
        """The number of tickets that have to wait, by time."""
        self._waiting = 0
        self._columns: tuple[array[Any], ...] = tuple(array(code) for code in ("d", "f", "H", "H", "B"))

    def __iter__(self) -> Iterator[Finished]:
        """The finished tickets, in the order in which they finished."""
        return map(Finished._make, zip(*self._columns, strict=True))

    def __len__(self) -> int:
        return len(self._columns[0])

    def accept(self) -> None:
        """Count an accepted ticket."""
        self.accepted += 1

    def defer(self, ticket: Ticket) -> None:
        """Count a deferred ticket as waiting until it is finished."""
        if not ticket.is_deferred:
            ticket.is_deferred = True
            self._waiting += 1

    def finish(self, ticket: Ticket, now: float) -> None:
        """Record a ticket whose notification was sent."""
        self._waiting -= ticket.is_deferred
        row = (
            ticket.arrived,
            now - ticket.arrived,
            ticket.throttled_calls,
            ticket.failed_calls,
            ticket.is_deferred,
        )
        for column, value in zip(self._columns, row, strict=True):
            column.append(value)

    def sample(self, now: float) -> None:
        """Record how many tickets wait."""
        self.backlog.append((now, self._waiting))
