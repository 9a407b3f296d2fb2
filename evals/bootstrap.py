"""Bootstrap intervals: how much a figure would vary with other tickets of the same kind.

A resample of n tickets is a row of n weights: how often each ticket was drawn. A statistic maps weights, an
array of shape (resamples, n), to one value for each row, so that all resamples take a few matrix products.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1_000
_SEED = 15
_PERCENTILES = (2.5, 97.5)

type Array = NDArray[Any]
type Statistic = Callable[[Array], Array]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value with its 95 % interval; None where there is nothing to measure."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def to_document(self) -> dict[str, float | None]:
        """A JSON object."""
        values = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if one is None else round(one, 6) for name, one in values.items()}


@cache
def resampled_weights(size: int) -> Array:
    """The same resamples for all figures of a set, and for both runs of a comparison."""
    generator = np.random.default_rng(_SEED)
    return generator.multinomial(size, np.full(size, 1 / size), size=RESAMPLES).astype(float)


def figure(statistic: Statistic, size: int) -> Figure:
    """A statistic's value on a set of `size` tickets, with its percentile interval."""
    if not size:
        return Figure(None)
    value = float(statistic(np.ones((1, size)))[0])
    if np.isnan(value):
        return Figure(None)
    resampled = statistic(resampled_weights(size))
    low, high = np.percentile(resampled[~np.isnan(resampled)], _PERCENTILES)
    return Figure(value, float(low), float(high))


def share(part: Array, whole: Array | None = None) -> Statistic:
    """How much of `whole` (by default of all tickets) is in `part`; both have a value for each ticket."""
    whole = np.ones(len(part)) if whole is None else whole
    both = part * whole
    return lambda weights: ratio(weights @ both, weights @ whole)


def ratio(numerator: Array, denominator: Array) -> Array:
    """Elementwise, nan where the denominator is 0."""
    result: Array = np.full(np.shape(numerator), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def quantile(values: Array, level: float) -> Statistic:
    """The smallest value that at least `level` (0..1) of the tickets do not exceed."""
    order = np.argsort(values)

    def statistic(weights: Array) -> Array:
        counted = np.cumsum(weights[:, order], axis=1)
        return np.asarray(values[order][np.argmax(counted >= level * counted[:, -1:], axis=1)], dtype=float)

    return statistic
