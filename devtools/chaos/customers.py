"""The customers: they send tickets through the front door, and send again what was not accepted."""

import asyncio
import time
from collections.abc import Sequence

import httpx

from devtools.chaos.plan import Plan
from devtools.load.submission import Submission, send

# Of the accepted: their customers never saw the answer, as when a connection breaks, and send again.
_SENT_AGAIN = 0.05


async def send_all(
    plan: Plan, submissions: Sequence[Submission], url: str, token: str
) -> dict[str, Submission]:
    """Send each when its time has come; return what was answered with 202, by the ticket id in it."""
    accepted: dict[str, Submission] = {}
    began = time.monotonic()
    queue = zip(plan.arrivals(), submissions, strict=True)
    chance = plan.chance("sent again")
    impatient = {submission.key for submission in submissions if chance.random() < _SENT_AGAIN}

    async def customer(client: httpx.AsyncClient) -> None:
        for arrival, submission in queue:
            await asyncio.sleep(began + arrival - time.monotonic())
            for _ in range(1 + (submission.key in impatient)):
                ticket_id = await send(client, submission)
                if ticket_id is not None:
                    accepted[ticket_id] = submission

    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx.AsyncClient(base_url=url, headers=headers, timeout=35, trust_env=False) as client,
        asyncio.TaskGroup() as customers,
    ):
        for _ in range(plan.concurrency):
            customers.create_task(customer(client))
    return accepted
