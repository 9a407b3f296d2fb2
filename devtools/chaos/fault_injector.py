"""The faults of a run: failing services, outages, a failing model, and functions that are killed."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx
import psutil

from devtools.chaos.plan import ChaosPlan
from devtools.chaos.proxy import SERVICES
from devtools.load.model import Model
from local.processes import ProcessGroup

_STARTUP_SECONDS = 1


@dataclass
class FaultInjector:
    """Injects the faults of a plan. The functions are child processes of the emulator."""

    plan: ChaosPlan
    proxy_url: str
    model: Model
    emulator: psutil.Process
    group: ProcessGroup
    functions_killed: int = 0

    @asynccontextmanager
    async def active(self) -> AsyncIterator[None]:
        """Inject faults until the block ends and the last outage is over.

        Raises:
            StackError: a process of the stack itself has exited; in an ExceptionGroup.
        """
        await self._set_service_faults(self.plan.service_faults())
        await self.model.set_faults(self.plan.model_faults())
        async with asyncio.TaskGroup() as tasks:
            outages = [
                tasks.create_task(self._take_down(service, start))
                for service, start in self.plan.outages().items()
            ]
            kills = tasks.create_task(self._kill_functions())
            yield
            await asyncio.wait(outages)
            kills.cancel()
        await self._set_service_faults({service: {} for service in SERVICES})
        await self.model.set_faults({})

    async def counts(self) -> dict[str, dict[str, int]]:
        """How many calls the proxy passed on, and how many failed with which fault, by service."""
        async with httpx.AsyncClient(trust_env=False) as client:
            return dict((await client.get(f"{self.proxy_url}/_counts")).json())

    async def _take_down(self, service: str, start: float) -> None:
        await asyncio.sleep(start)
        await self._set_service_faults({service: self.plan.outage})
        await asyncio.sleep(self.plan.outage_seconds)
        await self._set_service_faults({service: self.plan.service_faults()[service]})

    async def _kill_functions(self) -> None:
        random = self.plan.random("kills")
        while True:
            await asyncio.sleep(random.uniform(1, 2))
            self.group.check()
            with suppress(psutil.NoSuchProcess):
                functions = [process for process in self.emulator.children() if _has_started(process)]
                if functions:
                    random.choice(sorted(functions, key=lambda process: process.pid)).kill()
                    self.functions_killed += 1

    async def _set_service_faults(self, faults: dict[str, Any]) -> None:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            (await client.post(f"{self.proxy_url}/_faults", json=faults)).raise_for_status()


def _has_started(process: psutil.Process) -> bool:
    """Whether a function is idle or waits for a response; while it starts, it uses the CPU all the time.

    On a slow machine, killing functions that are starting would leave none to work, and prove nothing.
    """
    age = time.time() - process.create_time()
    return age > _STARTUP_SECONDS and process.status() == psutil.STATUS_SLEEPING
