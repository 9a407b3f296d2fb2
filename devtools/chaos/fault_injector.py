"""The faults of a run: failing services, outages, a bad model, and functions that are killed."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx
import psutil

from devtools.chaos.plan import Plan
from devtools.chaos.proxy import SERVICES
from local.processes import ProcessGroup

_MIN_AGE = 1


@dataclass
class Storm:
    """Everything that goes wrong. The functions are child processes of the emulator."""

    plan: Plan
    proxy_url: str
    model_url: str
    emulator: psutil.Process
    group: ProcessGroup
    killed: int = 0

    @asynccontextmanager
    async def raging(self) -> AsyncIterator[None]:
        """Faults during the block, and on until the last outage is over; none after it.

        Raises:
            StackError: a part of the stack itself has ended, in an ExceptionGroup.
        """
        await self._fail_aws(self.plan.faults())
        await self._fail_model(self.plan.model_faults())
        async with asyncio.TaskGroup() as troubles:
            outages = [
                troubles.create_task(self._cut_off(service, moment))
                for service, moment in self.plan.outages().items()
            ]
            killer = troubles.create_task(self._kill_functions())
            yield
            await asyncio.wait(outages)
            killer.cancel()
        await self._fail_aws({service: {} for service in SERVICES})
        await self._fail_model({})

    async def counts(self) -> dict[str, dict[str, int]]:
        """What the proxy did to the calls, by service."""
        async with httpx.AsyncClient(trust_env=False) as client:
            return dict((await client.get(f"{self.proxy_url}/_counts")).json())

    async def _cut_off(self, service: str, moment: float) -> None:
        await asyncio.sleep(moment)
        await self._fail_aws({service: self.plan.outage})
        await asyncio.sleep(self.plan.outage_seconds)
        await self._fail_aws({service: self.plan.faults()[service]})

    async def _kill_functions(self) -> None:
        chance = self.plan.chance("kills")
        while True:
            await asyncio.sleep(chance.uniform(1, 2))
            self.group.check()
            with suppress(psutil.NoSuchProcess):
                workers = [worker for worker in self.emulator.children() if _has_started(worker)]
                if workers:
                    chance.choice(sorted(workers, key=lambda one: one.pid)).kill()
                    self.killed += 1

    async def _fail_aws(self, faults: dict[str, Any]) -> None:
        await _post(f"{self.proxy_url}/_faults", faults)

    async def _fail_model(self, faults: dict[str, Any]) -> None:
        await _post(f"{self.model_url}/faults", faults)


def _has_started(worker: psutil.Process) -> bool:
    """Whether a function is idle or waits for an answer: one that starts is busy all the time.

    Were functions killed while they start, none would ever work on a slow machine, and nothing be proved.
    """
    return time.time() - worker.create_time() > _MIN_AGE and worker.status() == psutil.STATUS_SLEEPING


async def _post(url: str, document: dict[str, Any]) -> None:
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        (await client.post(url, json=document)).raise_for_status()
