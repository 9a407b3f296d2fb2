"""The options of a run, from environment variables."""

import random
import secrets
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The number of tickets, and the seed from which everything random follows."""

    seed: int
    tickets: int

    def random(self, purpose: str) -> random.Random:
        """A random number generator for one purpose, whose numbers no other purpose affects."""
        return random.Random(f"{self.seed}:{purpose}")  # noqa: S311 (no secret)


def read_seed(environment: Mapping[str, str]) -> int:
    """Read SEED, a random number by default. Raises ValueError: it is not a whole number."""
    return whole_number(environment, "SEED", secrets.randbelow(1_000_000), 0, 2**63)


def whole_number(environment: Mapping[str, str], name: str, default: int, lowest: int, highest: int) -> int:
    """Read a whole number. Raises ValueError: it is not a whole number, or out of range."""
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not lowest <= int(text) <= highest:
        raise ValueError(f"{name} must be a whole number from {lowest} to {highest}, not {text}.")
    return int(text)
