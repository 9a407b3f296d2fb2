"""Fault injection: faults by probability, for the next calls, or above a quota."""

import math
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

KINDS = ("throttle", "malformed", "truncated", "slow", "deny", "error", "prompt_injection")
_ALLOWED = (
    f"Allowed are a probability from 0 to 1 for each kind of fault ({', '.join(KINDS)}), at most 1 in all; "
    '"next": {kind: number of calls}; "quota": {"perSecond": calls per second, "burst": calls at once}; '
    'and "seed": an integer. {} clears all faults.'
)
_OTHER_KEYS = ("next", "seed", "quota")
_ROUNDING = 1e-9


class InvalidFaultsError(Exception):
    """The body of POST /faults is invalid; the message says what is allowed."""


class Quota:
    """A token bucket for at most `burst` calls, which is refilled with `per_second` calls each second.

    The clock returns seconds. A refused call takes nothing out of the bucket.
    """

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._available = float(burst)
        self._refilled_at = clock()

    def try_take(self) -> bool:
        """Take one call out of the bucket; returns whether there was one."""
        now = self._clock()
        refill = (now - self._refilled_at) * self._per_second
        self._available = min(self._burst, self._available + refill)
        self._refilled_at = now
        if self._available < 1 - _ROUNDING:
            return False
        self._available -= 1
        return True


class Faults:
    """Chooses the fault of each call, if any.

    A call above the `quota` is throttled, and uses up no other fault. `next_calls` is how many of the next
    calls get a fault of each kind, in the given order; the faults of later calls are drawn by
    `probabilities`. A `seed` makes the draws repeatable.
    """

    def __init__(
        self,
        probabilities: Mapping[str, float] | None = None,
        next_calls: Mapping[str, int] | None = None,
        seed: int | None = None,
        quota: Quota | None = None,
    ) -> None:
        self._probabilities = dict(probabilities or {})
        self._next_calls = dict(next_calls or {})
        self._random = random.Random(seed)  # noqa: S311 - not for secrets
        self._quota = quota

    def draw(self) -> str | None:
        """Return the kind of fault for the next call, or None."""
        if self._quota and not self._quota.try_take():
            return "throttle"
        for kind, calls_left in self._next_calls.items():
            if calls_left:
                self._next_calls[kind] -= 1
                return kind
        point = self._random.random()
        for kind, probability in self._probabilities.items():
            if point < probability:
                return kind
            point -= probability
        return None


def parse_faults(body: object, clock: Callable[[], float] = time.monotonic) -> Faults:
    """Parse the body of POST /faults. Raises InvalidFaultsError."""
    if not isinstance(body, dict):
        raise InvalidFaultsError(f"The body must be a JSON object. {_ALLOWED}")
    seed = body.get("seed")
    if seed is not None and not _is_integer(seed):
        raise InvalidFaultsError(f'"seed" must be an integer. {_ALLOWED}')
    return Faults(
        _probabilities({name: value for name, value in body.items() if name not in _OTHER_KEYS}),
        _next_calls(body.get("next", {})),
        seed,
        _quota(body["quota"], clock) if "quota" in body else None,
    )


def _probabilities(by_kind: dict[str, Any]) -> dict[str, float]:
    _require_kinds(by_kind)
    for kind, value in by_kind.items():
        if not _is_number(value) or not 0 <= value <= 1:
            raise InvalidFaultsError(f"The probability of {kind} must be a number from 0 to 1. {_ALLOWED}")
    if sum(by_kind.values()) > 1 + _ROUNDING:
        raise InvalidFaultsError(f"The probabilities add up to more than 1. {_ALLOWED}")
    return by_kind


def _next_calls(by_kind: Any) -> dict[str, int]:
    if not isinstance(by_kind, dict):
        raise InvalidFaultsError(f'"next" must be an object. {_ALLOWED}')
    _require_kinds(by_kind)
    for kind, value in by_kind.items():
        if not _is_integer(value) or value < 0:
            raise InvalidFaultsError(f'"next".{kind} must be a non-negative integer. {_ALLOWED}')
    return by_kind


def _quota(quota: Any, clock: Callable[[], float]) -> Quota:
    if not isinstance(quota, dict) or quota.keys() != {"perSecond", "burst"}:
        raise InvalidFaultsError(f'"quota" must be an object with "perSecond" and "burst". {_ALLOWED}')
    per_second, burst = quota["perSecond"], quota["burst"]
    if not _is_number(per_second) or not 0 < per_second < math.inf:
        raise InvalidFaultsError(f'"quota".perSecond must be a positive number. {_ALLOWED}')
    if not _is_integer(burst) or burst < 1:
        raise InvalidFaultsError(f'"quota".burst must be a positive integer. {_ALLOWED}')
    return Quota(per_second, burst, clock)


def _require_kinds(by_kind: dict[str, Any]) -> None:
    for kind in by_kind:
        if kind not in KINDS:
            raise InvalidFaultsError(f"{kind!r} is not a kind of fault. {_ALLOWED}")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
