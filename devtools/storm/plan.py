"""The numbers of a run: everything else follows from them and the seed."""

import random
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

_MOST_TICKETS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many tickets, how many calls a second the model takes, and for how many seconds it is down."""

    seed: int
    tickets: int
    quota: int = 2
    outage: int = 30

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], *, tickets: int) -> Self:
        """Read SEED (a random one), N (`tickets`), QUOTA (2) and OUTAGE (30).

        Raises:
            ValueError: one of them is out of range; the message says what is allowed.
        """
        return cls(
            seed=_whole(environment, "SEED", secrets.randbelow(1_000_000), 0, 2**63),
            tickets=_whole(environment, "N", tickets, 1, _MOST_TICKETS),
            quota=_whole(environment, "QUOTA", 2, 1, 1_000),
            outage=_whole(environment, "OUTAGE", 30, 1, 600),
        )

    def chance(self, purpose: str) -> random.Random:
        """Random numbers of its own for each purpose, so that one does not shift another's."""
        return random.Random(f"{self.seed}:{purpose}")  # noqa: S311 (no secret)

    @property
    def quota_seconds(self) -> float:
        """How long the quota needs for one call a ticket."""
        return self.tickets / self.quota


def _whole(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not least <= int(text) <= most:
        raise ValueError(f"{name}={text} is not a whole number from {least} to {most}.")
    return int(text)
