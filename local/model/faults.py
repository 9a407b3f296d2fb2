"""Faults that a test asks the stand-in for: by probability, or for the next calls."""

import random
from collections.abc import Mapping
from typing import Any

KINDS = ("throttle", "malformed", "truncated", "slow", "deny", "error", "obey")
_ALLOWED = (
    f"Allowed are probabilities from 0 to 1 by kind ({', '.join(KINDS)}), together at most 1, "
    '"next": {kind: number of calls}, and "seed": a whole number; {} clears all faults.'
)
_ROUNDING = 1e-9


class InvalidFaultsError(Exception):
    """The body of POST /faults is not what is allowed; the message says what is."""


class Faults:
    """Decides, call by call, which fault hits it.

    `following` are the faults of the next calls, used up first and in the order given; after them each
    call draws by `probabilities`. A `seed` makes the draws repeatable.
    """

    def __init__(
        self,
        probabilities: Mapping[str, float] | None = None,
        following: Mapping[str, int] | None = None,
        seed: int | None = None,
    ) -> None:
        self._probabilities = dict(probabilities or {})
        self._following = dict(following or {})
        self._random = random.Random(seed)  # noqa: S311 - chance for tests, not for secrets

    def draw(self) -> str | None:
        """Return the kind of fault for the next call, or None."""
        for kind, calls_left in self._following.items():
            if calls_left:
                self._following[kind] -= 1
                return kind
        point = self._random.random()
        for kind, probability in self._probabilities.items():
            if point < probability:
                return kind
            point -= probability
        return None


def parse_faults(body: object) -> Faults:
    """Read the body of POST /faults; raise InvalidFaultsError saying what is allowed."""
    if not isinstance(body, dict):
        raise InvalidFaultsError(f"The body must be a JSON object. {_ALLOWED}")
    probabilities = {name: value for name, value in body.items() if name not in ("next", "seed")}
    following = body.get("next", {})
    seed = body.get("seed")
    if not isinstance(following, dict):
        raise InvalidFaultsError(f'"next" must be an object. {_ALLOWED}')
    if seed is not None and not _is_whole(seed):
        raise InvalidFaultsError(f'"seed" must be a whole number. {_ALLOWED}')
    for kind in (*probabilities, *following):
        if kind not in KINDS:
            raise InvalidFaultsError(f"{kind!r} is no kind of fault. {_ALLOWED}")
    for kind, value in probabilities.items():
        if not _is_probability(value):
            raise InvalidFaultsError(f"The probability of {kind} must be a number from 0 to 1. {_ALLOWED}")
    for kind, value in following.items():
        if not _is_whole(value) or value < 0:
            raise InvalidFaultsError(f'"next".{kind} must be a whole number, 0 or more. {_ALLOWED}')
    if sum(probabilities.values()) > 1 + _ROUNDING:
        raise InvalidFaultsError(f"The probabilities add up to more than 1. {_ALLOWED}")
    return Faults(probabilities, following, seed)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_probability(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
