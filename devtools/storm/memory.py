"""How much memory the stack takes at its peak."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import psutil

_EVERY_SECONDS = 0.5


@dataclass
class PeakMemory:
    """The largest sum of the resident memory of all processes below this one, in bytes."""

    size: int = 0

    @asynccontextmanager
    async def sampled(self) -> AsyncIterator[None]:
        """Look twice a second until the block ends."""
        sampling = asyncio.create_task(self._sample())
        try:
            yield
        finally:
            sampling.cancel()

    async def _sample(self) -> None:
        while True:
            self.size = max(self.size, await asyncio.to_thread(_resident))
            await asyncio.sleep(_EVERY_SECONDS)


def _resident() -> int:
    size = 0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            size += process.memory_info().rss
    return size
