"""Which answers need no review: coverage against accuracy by threshold, and the second signals."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from evals.bootstrap import Array, Figure, figure, ratio, share
from evals.metrics import bins, flags
from evals.scoring import Scored
from evals.signals import SIGNALS

_NORMAL_QUANTILE = 1.96
_THRESHOLDS = [round(step / 20, 2) for step in range(21)]


def covered(scored: Sequence[Scored], threshold: float) -> Array:
    """1.0 for each ticket that the pipeline would not mark needsReview with this threshold."""
    return flags(
        [one.confidence is not None and one.confidence >= threshold and not one.flagged for one in scored]
    )


def curve(scored: Sequence[Scored]) -> list[dict[str, Any]]:
    """Coverage (the share without review) and accuracy among the covered, by threshold."""
    right = flags([one.is_right for one in scored])
    points = []
    for threshold in _THRESHOLDS:
        chosen = covered(scored, threshold)
        points.append(
            {
                "threshold": threshold,
                "coverage": figure(share(chosen), len(scored)).to_document(),
                "accuracy": figure(share(right, chosen), len(scored)).to_document(),
                "accuracyAtLeast": round(_at_least(float(right @ chosen), float(chosen.sum())), 6),
            }
        )
    return points


def _at_least(successes: float, trials: float) -> float:
    """The lower end of Wilson's 95 % interval of a share; 0 without trials.

    Unlike the bootstrap's, it is far below 1 when the few that were tried all succeeded.
    """
    if not trials:
        return 0
    mean, spread = successes / trials, _NORMAL_QUANTILE**2 / trials
    margin = _NORMAL_QUANTILE * math.sqrt(mean * (1 - mean) / trials + spread / (4 * trials))
    return (mean + spread / 2 - margin) / (1 + spread)


def recommended(points: Sequence[dict[str, Any]], target: float) -> dict[str, Any] | None:
    """The lowest threshold that reaches the target accuracy; None if there is none.

    Only the lower end of Wilson's interval counts, so that few tickets cannot promise much.
    """
    reaching = [point for point in points if point["accuracyAtLeast"] >= target]
    return reaching[0] if reaching else None


def reliability(scored: Sequence[Scored]) -> list[dict[str, Any]]:
    """For each tenth of confidence with tickets: their number, mean confidence, and accuracy."""
    table = bins(scored)
    right = flags([one.is_right for one in scored])
    confidence = np.array([one.confidence or 0 for one in scored])
    return [
        {
            "tickets": int(column.sum()),
            "confidence": float(confidence @ column / column.sum()),
            "accuracy": figure(share(right, column), len(scored)).to_document(),
        }
        for column in table.T
        if column.any()
    ]


def second_signals(scored: Sequence[Scored], threshold: float) -> list[dict[str, Any]]:
    """What each signal would add to `needsReview`.

    The signal sends more tickets to review; so would a higher threshold. `gain` is the accuracy among the
    covered with the signal, minus that with the confidence alone at the same coverage.
    """
    right = flags([one.is_right for one in scored])
    alone = covered(scored, threshold)
    answered = flags([one.confidence is not None for one in scored])
    rows = []
    for name in SIGNALS:
        doubted = flags([name in one.signals for one in scored])
        with_signal = alone * (1 - doubted)
        same_coverage = _most_confident(scored, alone, int(with_signal.sum()))
        rows.append(
            {
                "signal": name,
                "tickets": int((doubted * answered).sum()),
                "accuracyDoubted": figure(share(right, doubted * answered), len(scored)).to_document(),
                "accuracyOthers": figure(share(right, (1 - doubted) * answered), len(scored)).to_document(),
                "coverage": figure(share(with_signal), len(scored)).to_document(),
                "accuracy": figure(share(right, with_signal), len(scored)).to_document(),
                "gain": _difference(right, with_signal, same_coverage).to_document(),
            }
        )
    return rows


def _most_confident(scored: Sequence[Scored], among: Array, number: int) -> Array:
    """1.0 for the most confident of the tickets; equal confidence at the limit is shared out evenly."""
    confidence = np.where(among > 0, [one.confidence or 0 for one in scored], -1.0)
    if number == 0:
        return np.zeros(len(scored))
    limit = np.sort(confidence)[-number]
    above, equal = confidence > limit, confidence == limit
    return np.asarray(above + equal * ((number - above.sum()) / equal.sum()))


def _difference(right: Array, first: Array, second: Array) -> Figure:
    return figure(
        lambda weights: (
            ratio(weights @ (right * first), weights @ first)
            - ratio(weights @ (right * second), weights @ second)
        ),
        len(right),
    )
