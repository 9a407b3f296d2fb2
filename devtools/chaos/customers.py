"""The load: customers send each ticket when it is due, and some tickets twice."""

import asyncio
import time
from collections.abc import Sequence

from devtools.chaos.plan import ChaosPlan
from devtools.load.customers import Customers, Submission

# The share of customers who send a ticket again, as if a broken connection had kept the response from them.
_REPEATED_SHARE = 0.05


async def send_all(customers: Customers, plan: ChaosPlan, submissions: Sequence[Submission]) -> None:
    """Send each submission at its arrival time, or as soon as one of the plan's clients is free."""
    started = time.monotonic()
    queue = zip(plan.arrivals(), submissions, strict=True)
    random = plan.random("sent again")
    repeated = {submission.key for submission in submissions if random.random() < _REPEATED_SHARE}

    async def client() -> None:
        for arrival, submission in queue:
            await asyncio.sleep(started + arrival - time.monotonic())
            await customers.send(submission)
            if submission.key in repeated:
                await customers.send(submission)

    async with asyncio.TaskGroup() as clients:
        for _ in range(plan.concurrency):
            clients.create_task(client())
