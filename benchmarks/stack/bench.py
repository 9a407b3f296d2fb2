"""The stack that is measured, and the tickets that are sent to it."""

import asyncio
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from random import Random
from typing import override

from benchmarks.stack.releases import Releases
from benchmarks.stack.stored_tickets import StoredTickets
from devtools.load.customers import Customers, Submission
from devtools.load.latency import ATTRIBUTES, latencies
from devtools.load.memory import PeakMemory
from devtools.load.model import Model
from devtools.load.pipeline import OPEN_LIMITS, Pipeline
from devtools.load.tickets import submissions
from local.emulator import Emulator
from local.processes import free_port
from local.settings import PROJECT, Settings, StackError
from local.stack import Stack
from local.start import process_group, start

MODEL_SECONDS = 0.05
_POLL_SECONDS = 0.2
# Longer than a ticket takes: asking whether it is finished would slow it down.
_PAUSE_SECONDS = 0.5
_WARM_UP_TICKETS = 32


@dataclass(frozen=True, slots=True)
class Run:
    """Tickets that were sent, and whose executions have ended."""

    sent: Mapping[str, float]
    """When each ticket was sent, in seconds since the epoch, by ticket id."""
    post_seconds: Sequence[float]
    ended: float
    """When the last execution ended, in seconds since the epoch."""
    peak_memory_bytes: int = 0
    """The largest sum of the resident memory of the stack's processes, of a run with several clients."""

    @property
    def tickets_per_second(self) -> float:
        """From the first request until the last execution has ended."""
        return len(self.sent) / (self.ended - min(self.sent.values()))


@dataclass(frozen=True)
class Bench:
    """A running stack whose API has open limits, and whose model answers after MODEL_SECONDS."""

    stack: Stack
    pipeline: Pipeline
    releases: Releases
    stored: StoredTickets
    token: str
    agent_token: str
    submissions: Iterator[Submission]

    def send(self, tickets: int, *, clients: int) -> Run:
        """Send so many tickets from so many concurrent clients, and wait until their executions have ended.

        Raises:
            StackError: a ticket was refused, or its execution failed.
        """
        return asyncio.run(self._send_and_sample_memory(tickets, clients))

    def send_one_at_a_time(self, tickets: int) -> Run:
        """Send each ticket when the one before is finished. Raises StackError, as `send` does."""
        return asyncio.run(self._send(tickets, pause_seconds=_PAUSE_SECONDS))

    def warm_up(self) -> None:
        """Start the workers of the live release."""
        self.send(_WARM_UP_TICKETS, clients=8)

    def announced_seconds(self, run: Run) -> list[float]:
        """The seconds from the request to the notification of each ticket.

        Raises:
            StackError: a ticket has no notification.
        """
        seconds = latencies(self.pipeline.tickets(*ATTRIBUTES), run.sent, run.sent)
        if len(seconds) < len(run.sent):
            raise StackError(f"Only {len(seconds)} of {len(run.sent)} tickets were announced.")
        return seconds

    async def _send_and_sample_memory(self, tickets: int, clients: int) -> Run:
        memory = PeakMemory()
        async with memory.sampled():
            run = await self._send(tickets, clients=clients)
        return replace(run, peak_memory_bytes=memory.size)

    async def _send(self, tickets: int, *, clients: int = 1, pause_seconds: float = 0) -> Run:
        queue = islice(self.submissions, tickets)
        async with _TimedCustomers(self.stack.api_url, self.token) as customers, asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(self._send_all(customers, queue, pause_seconds))
        await self._wait_until_idle()
        if customers.refused:
            raise StackError(f"{len(customers.refused)} tickets were refused.")
        return Run(customers.sent, customers.post_seconds, self._last_end(customers.sent))

    async def _send_all(
        self, customers: Customers, queue: Iterator[Submission], pause_seconds: float
    ) -> None:
        for submission in queue:
            await customers.send(submission)
            if pause_seconds:
                await asyncio.sleep(pause_seconds)
                await self._wait_until_idle()

    async def _wait_until_idle(self) -> None:
        while await asyncio.to_thread(self.pipeline.executions, "RUNNING"):
            await asyncio.sleep(_POLL_SECONDS)

    def _last_end(self, sent: Mapping[str, float]) -> float:
        # Times of executions have whole milliseconds.
        since = min(sent.values()) - 0.001
        succeeded = self.pipeline.executions("SUCCEEDED")
        ends: list[float] = [
            each["stopDate"].timestamp() for each in succeeded if each["startDate"].timestamp() > since
        ]
        if len(ends) != len(sent):
            raise StackError(f"{len(ends)} executions of {len(sent)} tickets succeeded.")
        return max(ends)


@contextmanager
def started(name: str) -> Iterator[Bench]:
    """Start a stack in `.local/<name>`; the end of the block stops it.

    Raises:
        StackError: the stack could not be started.
    """
    folder = PROJECT / ".local" / name
    # The stand-in reads it. A real model would not take the same time in each run.
    os.environ["MODEL_SLOW_SECONDS"] = str(MODEL_SECONDS)
    os.environ.pop("MODEL", None)
    settings = Settings(port=free_port(), emulator_port=free_port(), folder=folder, parameters=OPEN_LIMITS)
    with process_group(settings) as group:
        stack = start(settings, group, Emulator.with_random_key(settings.endpoint_url))
        asyncio.run(Model(stack.model_url).set_faults({"slow": 1}))
        bench = Bench(
            stack=stack,
            pipeline=Pipeline(stack, folder),
            releases=Releases(stack),
            stored=StoredTickets(stack),
            token=(folder / "token").read_text(),
            agent_token=(folder / "agent-token").read_text(),
            submissions=submissions(Random(1)),  # noqa: S311 (no secret)
        )
        bench.warm_up()
        yield bench


class _TimedCustomers(Customers):
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
