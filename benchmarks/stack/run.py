"""Tickets that were sent, and how long they took."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import override

from devtools.load.customers import Customers, Submission


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Tickets that were sent, and whose executions have ended. Times are in seconds since the epoch."""

    sent: Mapping[str, float]
    """When each ticket was sent, by ticket id."""
    post_seconds: Sequence[float]
    """How long each request took."""
    ended: float
    """When the last execution ended."""
    peak_memory_bytes: int
    """The largest sum of the resident memory of the stack's processes."""

    def tickets_per_second(self, end: float) -> float:
        """The rate from the first request until `end`."""
        return len(self.sent) / (end - min(self.sent.values()))

    def seconds_until(self, times: Mapping[str, float]) -> list[float]:
        """How long each ticket took until its time."""
        return [at - self.sent[ticket_id] for ticket_id, at in times.items()]


class TimedCustomers(Customers):
    """Customers who note when they sent each ticket, and how long the request took."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(url, token)
        self.sent: dict[str, float] = {}
        self.post_seconds: list[float] = []

    @override
    async def send(self, submission: Submission) -> str | None:
        self.sent[submission.key] = time.time()
        started = time.perf_counter()
        ticket_id = await super().send(submission)
        self.post_seconds.append(time.perf_counter() - started)
        return ticket_id
