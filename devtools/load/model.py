"""The model stand-in of a running stack: its faults and its counts of calls."""

from typing import Any

import httpx


class Model:
    """Sets faults and reads counts; devtools.model.faults says which faults there are."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def set_faults(self, faults: dict[str, Any]) -> None:
        """Replace all faults."""
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            (await client.post(f"{self._url}/faults", json=faults)).raise_for_status()

    async def set_quota(self, calls_per_second: int) -> None:
        """Accept only so many calls a second, with bursts of as many; remove all other faults."""
        await self.set_faults({"quota": {"perSecond": calls_per_second, "burst": calls_per_second}})

    async def calls(self) -> dict[str, int]:
        """The number of calls, by outcome, and their `total`."""
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            return dict((await client.get(f"{self._url}/calls")).raise_for_status().json())
