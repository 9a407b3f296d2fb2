"""What a customer sends, again and again until it is accepted."""

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx

_TRIES = 20
_PAUSE_SECONDS = 0.5
_CONTENTS = (
    "I was charged twice for my subscription this month. Please refund one of the payments.",
    "I cannot log in since this morning. I tried to reset my password but the reset link has expired.",
    "The export crashes with an error whenever the report has more than 1000 rows.",
    "How do I add a colleague to my workspace? I could not find it in the documentation.",
    "Mi pedido todavía no ha llegado y el número de seguimiento no dice nada desde el lunes.",
    "Bonjour, ma facture de mai est fausse : j'ai été prélevé deux fois. Merci de me rembourser.",
)


@dataclass(frozen=True, slots=True)
class Submission:
    """What one customer sends; the key becomes the ticket's id."""

    key: str
    content: str
    subject: str | None

    def body(self) -> dict[str, Any]:
        """The request's body."""
        return {"content": self.content} | ({"subject": self.subject} if self.subject else {})


def ordinary_submissions(chance: Random) -> Iterator[Submission]:
    """Ordinary tickets without end, each with a key of its own."""
    while True:
        key = uuid.UUID(int=chance.getrandbits(128), version=4)
        yield Submission(str(key), chance.choice(_CONTENTS), None)


async def send(client: httpx.AsyncClient, submission: Submission) -> str | None:
    """Send until it is accepted, always under the same key; return the ticket id, or None."""
    for _ in range(_TRIES):
        try:
            answer = await client.post(
                "/support-request", json=submission.body(), headers={"Idempotency-Key": submission.key}
            )
        except httpx.TransportError:
            pass
        else:
            if answer.status_code == 202:
                return str(answer.json()["ticketId"])
        await asyncio.sleep(_PAUSE_SECONDS)
    return None
