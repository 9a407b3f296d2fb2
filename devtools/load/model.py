"""The model stand-in of a running stack: what it is told to do, and what it was asked."""

from typing import Any

import httpx


class Model:
    """The faults and the counts of calls; devtools.model.faults says what is allowed."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def set_faults(self, faults: dict[str, Any]) -> None:
        """Replace all faults."""
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            (await client.post(f"{self._url}/faults", json=faults)).raise_for_status()

    async def limit(self, calls_per_second: int) -> None:
        """Take so many calls a second, and as many at once; no other faults."""
        await self.set_faults({"quota": {"perSecond": calls_per_second, "burst": calls_per_second}})

    async def calls(self) -> dict[str, int]:
        """How many calls met which outcome."""
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            return dict((await client.get(f"{self._url}/calls")).raise_for_status().json())
