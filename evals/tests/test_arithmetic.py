"""The figures equal scikit-learn's and known tables, and their intervals cover what they should."""

import random
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, precision_recall_fscore_support

from evals import metrics, review
from evals.bootstrap import figure, quantile, resampled_weights, share
from evals.compare import mcnemar
from evals.scoring import Scored, Scorer
from evals.tests.conftest import document, example, scored
from support.domain.analysis_schema import CATEGORIES, URGENCIES


@pytest.fixture(scope="module")
def table(scorer: Scorer) -> list[Scored]:
    """120 tickets with random labels and answers; some have no answer."""
    chance = random.Random(4)  # noqa: S311 - made data
    results = []
    for number in range(120):
        labels = {"category": chance.choice([*CATEGORIES][:5]), "urgency": chance.choice(URGENCIES)}
        answers: dict[str, Any] = {
            "category": labels["category"] if chance.random() < 0.6 else chance.choice([*CATEGORIES]),
            "urgency": labels["urgency"] if chance.random() < 0.6 else chance.choice(URGENCIES),
            "confidence": chance.random(),
        }
        answer = document(**answers) if chance.random() < 0.95 else None
        results.append(scored(scorer, example(f"t-{number}", **labels), answer, latency_ms=number))
    return results


def value(table: list[Scored], name: str) -> float:
    found = figure(metrics.statistics(table)[name], len(table)).value
    assert found is not None
    return found


def test_accuracy_and_macro_f1_equal_scikit_learns(table: list[Scored]) -> None:
    labels, answers = [one.category for one in table], [str(one.answered_category) for one in table]

    assert value(table, "categoryAccuracy") == pytest.approx(accuracy_score(labels, answers))
    expected = f1_score(labels, answers, labels=sorted({*labels}), average="macro", zero_division=0)
    assert value(table, "categoryMacroF1") == pytest.approx(expected)


def test_precision_recall_and_f1_of_each_category_equal_scikit_learns(table: list[Scored]) -> None:
    names = metrics.categories(table)
    labels, answers = [one.category for one in table], [str(one.answered_category) for one in table]
    expected = precision_recall_fscore_support(labels, answers, labels=names, zero_division=0)[:3]

    for index, (name, statistics) in enumerate(metrics.per_class(table).items()):
        assert name == names[index]
        for column, one in zip(expected, ("precision", "recall", "f1"), strict=True):
            assert figure(statistics[one], len(table)).value == pytest.approx(column[index])


def test_the_weighted_kappa_equals_scikit_learns_on_answered_tickets(table: list[Scored]) -> None:
    answered = [one for one in table if one.answered_urgency]
    labels, answers = [one.urgency for one in answered], [one.answered_urgency for one in answered]
    expected = cohen_kappa_score(labels, answers, labels=URGENCIES, weights="quadratic")

    assert value(table, "urgencyKappa") == pytest.approx(expected)


def test_the_plain_kappa_equals_scikit_learns() -> None:
    first, second = ["a", "a", "b", "b", "c", "a"], ["a", "b", "b", "b", "c", "c"]

    measured = figure(metrics.kappa(first, second, ["a", "b", "c"]), 6).value
    assert measured == pytest.approx(cohen_kappa_score(first, second))


def test_under_triage_and_recall_of_critical_on_a_known_table(scorer: Scorer) -> None:
    pairs = [("CRITICAL", "CRITICAL"), ("CRITICAL", "LOW"), ("LOW", "HIGH"), ("MEDIUM", "MEDIUM")]
    table = [
        scored(scorer, example(f"t-{number}", urgency=label), document(urgency=answer))
        for number, (label, answer) in enumerate(pairs)
    ]
    unanswered = scored(scorer, example("t-9", urgency="CRITICAL"), None, calls=3)

    assert value(table, "underTriage") == 0.25
    assert value(table, "overTriage") == 0.25
    assert value(table, "criticalRecall") == 0.5
    assert value([*table, unanswered], "criticalRecall") == pytest.approx(1 / 3)
    assert value([*table, unanswered], "underTriage") == 0.25
    assert value([*table, unanswered], "schemaFailures") == 0.2
    assert value([*table, unanswered], "callsPerTicket") == pytest.approx(7 / 5)


def test_the_calibration_error_is_the_mean_gap_of_the_bins(scorer: Scorer) -> None:
    confident = [("BILLING", 0.95), ("BILLING", 0.95), ("ORDER", 0.95), ("ORDER", 0.95), ("BILLING", 0.25)]
    table = [
        scored(scorer, example(f"t-{number}"), document(category=category, confidence=confidence))
        for number, (category, confidence) in enumerate(confident)
    ]

    assert value(table, "calibrationError") == pytest.approx((4 * 0.45 + 0.75) / 5)


def test_the_interval_of_a_share_is_near_the_normal_one() -> None:
    right = np.array([1.0] * 160 + [0.0] * 40)

    measured = figure(share(right), 200)

    margin = 1.96 * (0.8 * 0.2 / 200) ** 0.5
    assert measured.value == 0.8
    assert measured.low == pytest.approx(0.8 - margin, abs=0.01)
    assert measured.high == pytest.approx(0.8 + margin, abs=0.01)


def test_a_figure_with_nothing_to_measure_has_no_value() -> None:
    assert figure(share(np.zeros(3), np.zeros(3)), 3).value is None


def test_quantiles_are_values_of_the_set() -> None:
    values = np.arange(1, 101)

    assert [figure(quantile(values, level), 100).value for level in (0.5, 0.95)] == [50, 95]


def test_resamples_are_the_same_every_time() -> None:
    assert (resampled_weights(7) == resampled_weights.__wrapped__(7)).all()
    assert (resampled_weights(7).sum(axis=1) == 7).all()


@pytest.mark.parametrize(
    ("only_a", "only_b", "expected"), [(0, 0, 1), (5, 5, 1), (10, 0, 2 / 1024), (1, 9, 22 / 1024)]
)
def test_mcnemars_test_is_the_exact_binomial_one(only_a: int, only_b: int, expected: float) -> None:
    assert mcnemar(only_a, only_b) == pytest.approx(expected)


def test_the_recommended_threshold_is_the_lowest_that_keeps_the_target(scorer: Scorer) -> None:
    """Answers with a confidence of 0.7 or more are right, the others are wrong."""
    table = [
        scored(scorer, example(f"t-{step}-{number}"), document(category=category, confidence=step / 10))
        for step in range(11)
        for number in range(25)
        for category in ["BILLING" if step >= 7 else "ORDER"]
    ]
    curve = review.curve(table)

    recommended = review.recommended(curve, 0.95)

    assert recommended is not None
    assert recommended["threshold"] == 0.65
    assert recommended["coverage"]["value"] == pytest.approx(4 / 11)


def test_a_few_right_answers_recommend_no_threshold(scorer: Scorer) -> None:
    few, many = (
        [scored(scorer, example(f"t-{number}"), document()) for number in range(tickets)]
        for tickets in (20, 80)
    )

    assert review.recommended(review.curve(few), 0.95) is None
    assert review.recommended(review.curve(many), 0.95) is not None


def test_no_threshold_is_recommended_for_answers_that_are_wrong(scorer: Scorer) -> None:
    table = [scored(scorer, example(f"t-{number}"), document(category="ORDER")) for number in range(20)]

    assert review.recommended(review.curve(table), 0.95) is None


def test_a_signal_gains_where_it_knows_more_than_the_confidence(scorer: Scorer) -> None:
    """All answers are equally confident; those to short tickets are wrong."""
    table = [
        scored(
            scorer,
            example(f"t-{number}", content="Charged twice." if number % 2 else "I was charged twice. " * 5),
            document(category="ORDER" if number % 2 else "BILLING"),
        )
        for number in range(40)
    ]

    rows = {row["signal"]: row for row in review.second_signals(table, threshold=0.6)}

    short = rows["short (under 60 characters)"]
    assert short["gain"]["value"] == pytest.approx(0.5)
    assert short["gain"]["low"] > 0
    assert rows["long (over 900 characters)"]["gain"]["value"] == pytest.approx(0)


def test_an_answer_with_an_address_of_its_own_is_never_covered(scorer: Scorer) -> None:
    one = scored(scorer, example(), document(response="Visit evil.example now.", confidence=1))

    assert review.covered([one], 0).tolist() == [0]
