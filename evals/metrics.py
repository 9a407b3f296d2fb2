"""The figures of a run, each as a statistic (evals.bootstrap) of its scored tickets."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evals.bootstrap import Array, Statistic, quantile, ratio, share
from evals.cache import ANSWERED
from evals.scoring import Scored
from support.domain.analysis_schema import URGENCIES
from support.domain.errors import ModelOutputInvalid, ModelRefused

_BINS = 10
_TICKETS_PRICED = 1_000


def flags(values: Sequence[Any]) -> Array:
    """1.0 for true; the values are booleans, or rows of booleans."""
    return np.array(values, dtype=float)


def one_hot(values: Sequence[str | None], names: Sequence[str]) -> Array:
    """A row for each ticket, with 1.0 in the column of its value."""
    return flags([[value == name for name in names] for value in values])


def statistics(scored: Sequence[Scored]) -> dict[str, Statistic]:
    """The statistics that the set has labels for, by name. An unanswered ticket counts as wrong."""
    answered = flags([one.outcome == ANSWERED for one in scored])
    return {
        "categoryAccuracy": share(flags([one.answered_category == one.category for one in scored])),
        "categoryMacroF1": macro_f1(scored),
        **(_urgency(scored) if all(one.urgency for one in scored) else {}),
        **_language(scored, answered),
        **_reply(scored),
        "calibrationError": calibration_error(scored),
        "answered": share(answered),
        "schemaFailures": share(flags([one.outcome == ModelOutputInvalid.__name__ for one in scored])),
        "refusals": share(flags([one.outcome == ModelRefused.__name__ for one in scored])),
        "callsPerTicket": share(np.array([one.calls for one in scored], dtype=float)),
        "inputTokens": share(np.array([one.input_tokens for one in scored], dtype=float)),
        "outputTokens": share(np.array([one.output_tokens for one in scored], dtype=float)),
        "latencyP50": quantile(np.array([one.latency_ms for one in scored]), 0.5),
        "latencyP95": quantile(np.array([one.latency_ms for one in scored]), 0.95),
        "usdPerThousand": share(np.array([one.usd * _TICKETS_PRICED for one in scored])),
    }


def categories(scored: Sequence[Scored]) -> list[str]:
    """The categories that tickets of the set are labelled with."""
    return sorted({one.category for one in scored})


def per_class(scored: Sequence[Scored]) -> Mapping[str, Mapping[str, Statistic]]:
    """Precision, recall and F1 of each labelled category."""
    names = categories(scored)
    truth = one_hot([one.category for one in scored], names)
    answer = one_hot([one.answered_category for one in scored], names)
    return {
        name: {
            "precision": share(truth[:, index], answer[:, index]),
            "recall": share(answer[:, index], truth[:, index]),
            "f1": share(
                2
                * truth[:, index]
                * answer[:, index]
                / np.maximum(size := truth[:, index] + answer[:, index], 1),
                size,
            ),
        }
        for index, name in enumerate(names)
    }


def macro_f1(scored: Sequence[Scored]) -> Statistic:
    """The mean of the labelled categories' F1; a resample without a category leaves it out."""
    names = categories(scored)
    truth = one_hot([one.category for one in scored], names)
    answer = one_hot([one.answered_category for one in scored], names)

    def statistic(weights: Array) -> Array:
        f1 = ratio(2 * weights @ (truth * answer), weights @ (truth + answer))
        is_present = weights @ truth > 0
        return ratio(np.where(is_present, f1, 0).sum(axis=1), is_present.sum(axis=1))

    return statistic


def weighted_kappa(
    first: Sequence[str | None], second: Sequence[str | None], names: Sequence[str]
) -> Statistic:
    """Cohen's kappa with quadratic weights over ordered names; pairs with another value are left out."""
    size = len(names)
    distance = np.subtract.outer(np.arange(size), np.arange(size)) ** 2.0
    return _kappa(first, second, names, distance)


def kappa(first: Sequence[str | None], second: Sequence[str | None], names: Sequence[str]) -> Statistic:
    """Cohen's kappa: the agreement beyond chance, 1 if complete."""
    return _kappa(first, second, names, 1 - np.eye(len(names)))


def _kappa(
    first: Sequence[str | None], second: Sequence[str | None], names: Sequence[str], distance: Array
) -> Statistic:
    size = len(names)
    rows, columns = one_hot(first, names), one_hot(second, names)
    pairs = (rows[:, :, None] * columns[:, None, :]).reshape(len(first), size * size)

    def statistic(weights: Array) -> Array:
        observed = (weights @ pairs).reshape(-1, size, size)
        total = observed.sum(axis=(1, 2))
        expected = observed.sum(axis=2)[:, :, None] * observed.sum(axis=1)[:, None, :]
        disagreement = ratio((distance * expected).sum(axis=(1, 2)), total)
        return 1 - ratio((distance * observed).sum(axis=(1, 2)), disagreement)

    return statistic


def _urgency(scored: Sequence[Scored]) -> dict[str, Statistic]:
    labels = [one.urgency for one in scored]
    answers = [one.answered_urgency for one in scored]
    rank = {name: index for index, name in enumerate(URGENCIES)}
    answered = flags([answer is not None for answer in answers])
    steps = np.array(
        [
            rank[answer] - rank[str(label)] if answer else 0
            for label, answer in zip(labels, answers, strict=True)
        ]
    )
    critical = flags([label == URGENCIES[-1] for label in labels])
    return {
        "urgencyAccuracy": share(answered * (steps == 0)),
        "urgencyKappa": weighted_kappa(labels, answers, URGENCIES),
        "criticalRecall": share(answered * (steps == 0), critical),
        "underTriage": share(flags([*(steps < 0)]), answered),
        "overTriage": share(flags([*(steps > 0)]), answered),
    }


def _language(scored: Sequence[Scored], answered: Array) -> dict[str, Statistic]:
    labelled = flags([one.language is not None and one.answered_language is not None for one in scored])
    if not labelled.any():
        return {}
    right = flags([(one.answered_language or "").partition("-")[0] == one.language for one in scored])
    return {"languageAccuracy": share(right, labelled * answered)}


def _reply(scored: Sequence[Scored]) -> dict[str, Statistic]:
    replied = flags([one.reply_words is not None for one in scored])
    if not replied.any():
        return {}
    short = {"replyWithinLength": share(flags([one.reply_is_short for one in scored]), replied)}
    comparable = replied * flags([one.language is not None for one in scored])
    if not comparable.any():
        return short
    same = flags([one.reply_language == one.language for one in scored])
    return {"replyInLanguage": share(same, comparable), **short}


def bins(scored: Sequence[Scored]) -> Array:
    """A row for each ticket, with 1.0 in the column of its confidence's tenth; zeros if it has none."""
    confidence = [one.confidence for one in scored]
    indexes = [None if value is None else min(int(value * _BINS), _BINS - 1) for value in confidence]
    return flags([[index == column for column in range(_BINS)] for index in indexes])


def calibration_error(scored: Sequence[Scored]) -> Statistic:
    """The expected calibration error: how far confidence and accuracy are apart, over ten bins."""
    table = bins(scored)
    gap = np.array([(one.confidence or 0) - one.is_right for one in scored])

    def statistic(weights: Array) -> Array:
        return ratio(np.abs(weights @ (table * gap[:, None])).sum(axis=1), (weights @ table).sum(axis=1))

    return statistic
