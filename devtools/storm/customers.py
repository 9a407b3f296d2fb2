"""The load: customers send tickets in bursts, at a steady rate, or in pairs."""

import asyncio
import time
from collections.abc import Iterator
from itertools import islice

from devtools.load.customers import Customers, Submission

_CLIENTS = 32


class StormCustomers(Customers):
    """All customers of a run, and the patterns in which they send tickets."""

    def __init__(self, url: str, token: str, submissions: Iterator[Submission]) -> None:
        super().__init__(url, token)
        self._submissions = submissions

    async def send_one(self) -> str | None:
        """Send a new ticket; return its id, or None if it was not accepted."""
        return await self.send(next(self._submissions))

    async def burst(self, tickets: int) -> list[str]:
        """Send tickets from 32 clients as fast as they are accepted; return the ids of the accepted ones."""
        queue, ids = islice(self._submissions, tickets), list[str]()

        async def client() -> None:
            for submission in queue:
                if ticket_id := await self.send(submission):
                    ids.append(ticket_id)

        async with asyncio.TaskGroup() as clients:
            for _ in range(min(_CLIENTS, tickets)):
                clients.create_task(client())
        return ids

    async def steady(self, tickets: int, seconds: float) -> None:
        """Send tickets at a steady rate, without waiting for the responses to earlier ones."""
        started = time.monotonic()
        async with asyncio.TaskGroup() as sending:
            for number, submission in enumerate(islice(self._submissions, tickets)):
                await asyncio.sleep(started + number * seconds / tickets - time.monotonic())
                sending.create_task(self.send(submission))

    async def pairs(self, tickets: int, gap_seconds: float) -> None:
        """Send each ticket twice under one key, with a gap between the two; one pair after another."""
        for submission in islice(self._submissions, tickets):
            async with asyncio.TaskGroup() as sending:
                sending.create_task(self.send(submission))
                await asyncio.sleep(gap_seconds)
                sending.create_task(self.send(submission))
