"""Single tickets, before a burst and during it: what its backlog costs a customer who comes later."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median

from devtools.storm.progress import seconds_taken
from devtools.storm.stage import Stage

_IDLE_TICKETS = 5
_MOST_FRESH = 40
_LEAST_GAP_SECONDS = 2.0


async def measure_idle(stage: Stage) -> None:
    """Send a few tickets, one after the other, and note how long one takes."""
    ids = []
    for _ in range(_IDLE_TICKETS):
        if ticket_id := await stage.customers.submit():
            ids.append(ticket_id)
            await stage.until_ended([ticket_id])
    taken = seconds_taken(await stage.tickets(), stage.customers.accepted, ids)
    stage.idle_seconds = median(taken) if taken else None


@asynccontextmanager
async def fresh_tickets(stage: Stage) -> AsyncIterator[None]:
    """Send a fresh ticket every few seconds until the block ends, 40 at most, and note which they are."""
    gap = max(_LEAST_GAP_SECONDS, stage.plan.quota_seconds / _MOST_FRESH)
    is_over = asyncio.Event()

    async def customer() -> None:
        for _ in range(_MOST_FRESH):
            try:
                await asyncio.wait_for(is_over.wait(), gap)
            except TimeoutError:
                if ticket_id := await stage.customers.submit():
                    stage.fresh.append(ticket_id)
            else:
                return

    async with asyncio.TaskGroup() as sending:
        sending.create_task(customer())
        yield
        is_over.set()
