"""The run of a scenario: the stack that it uses, and what it measures."""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from devtools.load import latency
from devtools.load.latency import Tickets
from devtools.load.model import Model
from devtools.load.pipeline import Pipeline
from devtools.storm.customers import StormCustomers
from devtools.storm.plan import StormPlan
from local.console import echo

_POLL_SECONDS = 1
_PROGRESS_SECONDS = 10


@dataclass
class ScenarioRun:
    """A running stack with its customers and its model, and the measurements of a scenario."""

    plan: StormPlan
    pipeline: Pipeline
    customers: StormCustomers
    model: Model
    started: float = field(default_factory=time.time)
    """When the load that counts started, in seconds since the epoch."""
    idle_seconds: float | None = None
    """How long a single ticket took on the idle stack."""
    fresh: list[str] = field(default_factory=list)
    """The single tickets that were sent while others waited."""
    peak_memory_bytes: int | None = None
    errors: list[str] = field(default_factory=list)
    """Errors that no ticket shows."""

    def start_load(self) -> None:
        """Count the time from now on."""
        self.started = time.time()

    async def tickets(self) -> Tickets:
        """The state of all stored tickets, by id."""
        return await asyncio.to_thread(self.pipeline.tickets, *latency.ATTRIBUTES)

    async def wait_until_finished(self, ids: Collection[str]) -> None:
        """Wait until each of these tickets has a notification or is FAILED, and print the progress."""
        printed_at = time.time()
        while (count := latency.count_finished(await self.tickets(), ids)) < len(ids):
            if time.time() - printed_at >= _PROGRESS_SECONDS:
                printed_at = time.time()
                echo(f"  {printed_at - self.started:4.0f} s: {count} of {len(ids)} tickets finished")
            await asyncio.sleep(_POLL_SECONDS)

    async def wait_until_idle(self) -> None:
        """Wait until all accepted tickets are finished, and no execution is running."""
        await self.wait_until_finished(self.customers.accepted)
        while await asyncio.to_thread(self.pipeline.executions, "RUNNING"):
            await asyncio.sleep(_POLL_SECONDS)
