"""Customers who send tickets, and send each one again until it is accepted."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Self

import httpx

_ATTEMPTS = 20
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Submission:
    """A ticket that a customer sends; the key becomes the ticket's id."""

    key: str
    content: str
    subject: str | None

    def body(self) -> dict[str, Any]:
        """The body of the request."""
        return {"content": self.content} | ({"subject": self.subject} if self.subject else {})


class Customers:
    """All customers of a run. A context manager: its connections close at the end of the block."""

    def __init__(self, url: str, token: str) -> None:
        self.accepted: dict[str, float] = {}
        """When each ticket was first accepted, in seconds since the epoch, by ticket id."""
        self.refused: list[str] = []
        """The keys of the tickets that were never accepted."""
        headers = {"Authorization": f"Bearer {token}"}
        self._client = httpx.AsyncClient(base_url=url, headers=headers, timeout=35, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def send(self, submission: Submission) -> str | None:
        """Send a ticket under one Idempotency-Key until it is accepted; return its id, or None."""
        for _ in range(_ATTEMPTS):
            if ticket_id := await self._post(submission):
                self.accepted.setdefault(ticket_id, time.time())
                return ticket_id
            await asyncio.sleep(_PAUSE_SECONDS)
        self.refused.append(submission.key)
        return None

    async def _post(self, submission: Submission) -> str | None:
        try:
            response = await self._client.post(
                "/support-request", json=submission.body(), headers={"Idempotency-Key": submission.key}
            )
        except httpx.TransportError:
            return None
        return str(response.json()["ticketId"]) if response.status_code == 202 else None
