"""The peak memory of a stack."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import psutil

_INTERVAL_SECONDS = 0.5


@dataclass
class PeakMemory:
    """The largest sum of the resident memory of all descendants of this process, in bytes."""

    size: int = 0

    @asynccontextmanager
    async def sampled(self) -> AsyncIterator[None]:
        """Measure the memory twice a second until the block ends."""
        sampling = asyncio.create_task(self._sample())
        try:
            yield
        finally:
            sampling.cancel()

    async def _sample(self) -> None:
        while True:
            self.size = max(self.size, await asyncio.to_thread(_resident_memory))
            await asyncio.sleep(_INTERVAL_SECONDS)


def _resident_memory() -> int:
    size = 0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            size += process.memory_info().rss
    return size
