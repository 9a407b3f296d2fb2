"""The stack that is measured, and the tickets that are sent to it."""

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

from benchmarks.stack.releases import Releases
from benchmarks.stack.run import Run, TimedCustomers
from benchmarks.stack.stored_tickets import StoredTickets
from devtools.load.customers import Submission
from devtools.load.latency import ATTRIBUTES, notified_at
from devtools.load.memory import PeakMemory
from devtools.load.model import Model
from devtools.load.pipeline import OPEN_LIMITS, Pipeline
from devtools.load.tickets import submissions
from local.emulator import Emulator
from local.processes import free_port, wait_for
from local.settings import PROJECT, Settings, StackError
from local.stack import Stack
from local.start import process_group, start

MODEL_SECONDS = 0.05
_POLL_SECONDS = 0.2
# Longer than a ticket takes: asking whether it is finished would slow it down.
_PAUSE_SECONDS = 0.5
_WARM_UP_TICKETS = 32
_DEADLINE_SECONDS = 60


@dataclass(frozen=True)
class Bench:
    """A running stack whose API has open limits, and whose model answers after MODEL_SECONDS."""

    stack: Stack
    pipeline: Pipeline
    releases: Releases
    stored: StoredTickets
    token: str
    agent_token: str
    functions_log: Path
    submissions: Iterator[Submission]

    def send(self, tickets: int, *, clients: int) -> Run:
        """Send so many tickets from so many concurrent clients, and wait until their executions have ended.

        Raises:
            StackError: a ticket was refused, or its execution failed.
        """
        return asyncio.run(self._send(tickets, clients, pause_seconds=0))

    def send_one_at_a_time(self, tickets: int) -> Run:
        """Send each ticket when the one before is finished. Raises StackError, as `send` does."""
        return asyncio.run(self._send(tickets, 1, pause_seconds=_PAUSE_SECONDS))

    def warm_up(self) -> None:
        """Start the workers of the live release."""
        self.send(_WARM_UP_TICKETS, clients=8)

    def notified_at(self, run: Run) -> dict[str, float]:
        """When the support team was notified of each ticket; waits for those that were deferred.

        Raises:
            StackError: a ticket has no notification in time.
        """
        times: dict[str, float] = {}

        def all_notified() -> bool:
            times.update(notified_at(self.pipeline.tickets(*ATTRIBUTES), run.sent))
            return len(times) == len(run.sent)

        if not wait_for(all_notified, _DEADLINE_SECONDS, interval=1):
            raise StackError(f"{len(times)} of {len(run.sent)} tickets have a notification.")
        return times

    async def _send(self, tickets: int, clients: int, pause_seconds: float) -> Run:
        queue, memory = islice(self.submissions, tickets), PeakMemory()
        async with TimedCustomers(self.stack.api_url, self.token) as customers, memory.sampled():
            async with asyncio.TaskGroup() as group:
                for _ in range(clients):
                    group.create_task(self._send_all(customers, queue, pause_seconds))
            await self._wait_until_idle()
        if customers.refused:
            raise StackError(f"{len(customers.refused)} of {len(customers.sent)} tickets were refused.")
        return Run(
            sent=customers.sent,
            post_seconds=customers.post_seconds,
            ended=self._last_end(customers.sent),
            peak_memory_bytes=memory.size,
        )

    async def _send_all(
        self, customers: TimedCustomers, queue: Iterator[Submission], pause_seconds: float
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
        ends: list[float] = [
            execution["stopDate"].timestamp()
            for execution in self.pipeline.executions("SUCCEEDED")
            if execution["startDate"].timestamp() > since
        ]
        if len(ends) < len(sent):
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
            functions_log=folder / "functions.log",
            submissions=submissions(Random("submissions")),  # noqa: S311 (no secret)
        )
        bench.warm_up()
        yield bench
