"""The customers: they send tickets to the API, and note when each was accepted."""

import asyncio
import time
from itertools import islice
from typing import Self

import httpx

from devtools.load.submission import Submission, ordinary_submissions, send
from devtools.storm.plan import Plan

_CLIENTS = 32


class Customers:
    """All customers of a run. A context manager: its connections close with the block."""

    def __init__(self, plan: Plan, api_url: str, token: str) -> None:
        self.accepted: dict[str, float] = {}
        """When each ticket was accepted, in seconds since the epoch, by ticket id."""
        self.refused: list[str] = []
        """The keys of the tickets that were never accepted."""
        self._submissions = ordinary_submissions(plan.chance("tickets"))
        headers = {"Authorization": f"Bearer {token}"}
        self._client = httpx.AsyncClient(base_url=api_url, headers=headers, timeout=35, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def submit(self) -> str | None:
        """Send one new ticket; return its id, if it was accepted."""
        return await self._send(next(self._submissions))

    async def burst(self, tickets: int) -> list[str]:
        """Send tickets by 32 clients as fast as they are taken; return the ids of those accepted."""
        queue, ids = islice(self._submissions, tickets), list[str | None]()

        async def client() -> None:
            for submission in queue:
                ids.append(await self._send(submission))

        async with asyncio.TaskGroup() as clients:
            for _ in range(min(_CLIENTS, tickets)):
                clients.create_task(client())
        return [ticket_id for ticket_id in ids if ticket_id]

    async def steady(self, tickets: int, seconds: float) -> None:
        """Send tickets evenly over a time, whether or not earlier ones are answered yet."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as sending:
            for number, submission in enumerate(islice(self._submissions, tickets)):
                await asyncio.sleep(began + number * seconds / tickets - time.monotonic())
                sending.create_task(self._send(submission))

    async def pairs(self, tickets: int, gap_seconds: float) -> None:
        """Send each ticket twice under one key, the second time a gap after the first; pair after pair."""
        for submission in islice(self._submissions, tickets):
            async with asyncio.TaskGroup() as sending:
                sending.create_task(self._send(submission))
                await asyncio.sleep(gap_seconds)
                sending.create_task(self._send(submission))

    async def _send(self, submission: Submission) -> str | None:
        ticket_id = await send(self._client, submission)
        if ticket_id is None:
            self.refused.append(submission.key)
        else:
            self.accepted.setdefault(ticket_id, time.time())
        return ticket_id
