"""What a scenario plays on: a running stack with its customers and its model."""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from devtools.load.pipeline import Pipeline
from devtools.storm import progress
from devtools.storm.customers import Customers
from devtools.storm.model import Model
from devtools.storm.plan import Plan
from devtools.storm.progress import Tickets
from local.run import say

_POLL_SECONDS = 1
_SAY_EVERY_SECONDS = 10


@dataclass
class Stage:
    """The running stack, and what a scenario notes for the verdict."""

    plan: Plan
    pipeline: Pipeline
    customers: Customers
    model: Model
    began: float = field(default_factory=time.time)
    """When the load that counts began, in seconds since the epoch."""
    idle_seconds: float | None = None
    """How long a single ticket took when no other waited."""
    fresh: list[str] = field(default_factory=list)
    """The single tickets that were sent while others waited."""
    peak_memory_bytes: int | None = None
    complaints: list[str] = field(default_factory=list)
    """What went wrong and shows in no ticket."""

    def begin(self) -> None:
        """Count the time from now on."""
        self.began = time.time()

    async def tickets(self) -> Tickets:
        """All stored tickets by id, as far as they say how each ended."""
        return await asyncio.to_thread(self.pipeline.tickets, *progress.ATTRIBUTES)

    async def until_ended(self, ids: Collection[str]) -> None:
        """Wait until each of these tickets is announced, or FAILED."""
        said_at = time.time()
        while (count := progress.ended(await self.tickets(), ids)) < len(ids):
            if time.time() - said_at >= _SAY_EVERY_SECONDS:
                said_at = time.time()
                say(f"  {said_at - self.began:4.0f} s: {count} of {len(ids)} tickets have ended")
            await asyncio.sleep(_POLL_SECONDS)

    async def until_quiet(self) -> None:
        """Wait until all accepted tickets have ended and no execution runs."""
        await self.until_ended(self.customers.accepted)
        while await asyncio.to_thread(self.pipeline.executions, "RUNNING"):
            await asyncio.sleep(_POLL_SECONDS)
