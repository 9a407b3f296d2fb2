"""Single tickets before and during a load: how much its backlog delays customers who come later."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median

from devtools.load.latency import latencies
from devtools.storm.scenario_run import ScenarioRun

_IDLE_TICKETS = 5
_MAX_FRESH_TICKETS = 40
_MIN_INTERVAL_SECONDS = 2.0


async def measure_idle(run: ScenarioRun) -> None:
    """Send a few tickets one after another, and record how long one takes on the idle stack."""
    ids = []
    for _ in range(_IDLE_TICKETS):
        if ticket_id := await run.customers.send_one():
            ids.append(ticket_id)
            await run.wait_until_finished([ticket_id])
    taken = latencies(await run.tickets(), run.customers.accepted, ids)
    run.idle_seconds = median(taken) if taken else None


@asynccontextmanager
async def fresh_tickets(run: ScenarioRun) -> AsyncIterator[None]:
    """Send a fresh ticket every few seconds until the block ends, but at most 40, and record their ids."""
    interval = max(_MIN_INTERVAL_SECONDS, run.plan.quota_seconds / _MAX_FRESH_TICKETS)
    is_over = asyncio.Event()

    async def customer() -> None:
        for _ in range(_MAX_FRESH_TICKETS):
            try:
                await asyncio.wait_for(is_over.wait(), interval)
            except TimeoutError:
                if ticket_id := await run.customers.send_one():
                    run.fresh.append(ticket_id)
            else:
                return

    async with asyncio.TaskGroup() as sending:
        sending.create_task(customer())
        yield
        is_over.set()
