"""Faults that a test asks the stand-in for: by probability, for the next calls, or above a quota."""

import math
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

KINDS = ("throttle", "malformed", "truncated", "slow", "deny", "error", "obey")
_ALLOWED = (
    f"Allowed are probabilities from 0 to 1 by kind ({', '.join(KINDS)}), together at most 1, "
    '"next": {kind: number of calls}, "quota": {"perSecond": calls a second, "burst": calls at once}, '
    'and "seed": a whole number; {} clears all faults.'
)
_NO_KINDS = ("next", "seed", "quota")
_ROUNDING = 1e-9


class InvalidFaultsError(Exception):
    """The body of POST /faults is not what is allowed; the message says what is."""


class Quota:
    """A token bucket: it holds `burst` calls at most, and `per_second` of them come back each second.

    The clock is in seconds. A call that is refused costs nothing.
    """

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._left = float(burst)
        self._counted_at = clock()

    def takes(self) -> bool:
        """Whether the quota has room for one more call, which then counts."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._counted_at) * self._per_second)
        self._counted_at = now
        if self._left < 1 - _ROUNDING:
            return False
        self._left -= 1
        return True


class Faults:
    """Decides, call by call, which fault hits it.

    A call above the `quota` is throttled, before any other fault is looked at. `following` are the faults of
    the next calls, used up first and in the order given; after them each call draws by `probabilities`.
    A `seed` makes the draws repeatable.
    """

    def __init__(
        self,
        probabilities: Mapping[str, float] | None = None,
        following: Mapping[str, int] | None = None,
        seed: int | None = None,
        quota: Quota | None = None,
    ) -> None:
        self._probabilities = dict(probabilities or {})
        self._following = dict(following or {})
        self._random = random.Random(seed)  # noqa: S311 - chance for tests, not for secrets
        self._quota = quota

    def draw(self) -> str | None:
        """Return the kind of fault for the next call, or None."""
        if self._quota and not self._quota.takes():
            return "throttle"
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


def parse_faults(body: object, clock: Callable[[], float] = time.monotonic) -> Faults:
    """Read the body of POST /faults; raise InvalidFaultsError saying what is allowed."""
    if not isinstance(body, dict):
        raise InvalidFaultsError(f"The body must be a JSON object. {_ALLOWED}")
    seed = body.get("seed")
    if seed is not None and not _is_whole(seed):
        raise InvalidFaultsError(f'"seed" must be a whole number. {_ALLOWED}')
    return Faults(
        _probabilities({name: value for name, value in body.items() if name not in _NO_KINDS}),
        _following(body.get("next", {})),
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


def _following(by_kind: Any) -> dict[str, int]:
    if not isinstance(by_kind, dict):
        raise InvalidFaultsError(f'"next" must be an object. {_ALLOWED}')
    _require_kinds(by_kind)
    for kind, value in by_kind.items():
        if not _is_whole(value) or value < 0:
            raise InvalidFaultsError(f'"next".{kind} must be a whole number, 0 or more. {_ALLOWED}')
    return by_kind


def _quota(quota: Any, clock: Callable[[], float]) -> Quota:
    if not isinstance(quota, dict) or quota.keys() != {"perSecond", "burst"}:
        raise InvalidFaultsError(f'"quota" must be an object of "perSecond" and "burst". {_ALLOWED}')
    per_second, burst = quota["perSecond"], quota["burst"]
    if not _is_number(per_second) or not 0 < per_second < math.inf:
        raise InvalidFaultsError(f'"quota".perSecond must be a number above 0. {_ALLOWED}')
    if not _is_whole(burst) or burst < 1:
        raise InvalidFaultsError(f'"quota".burst must be a whole number, 1 or more. {_ALLOWED}')
    return Quota(per_second, burst, clock)


def _require_kinds(by_kind: dict[str, Any]) -> None:
    for kind in by_kind:
        if kind not in KINDS:
            raise InvalidFaultsError(f"{kind!r} is no kind of fault. {_ALLOWED}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
