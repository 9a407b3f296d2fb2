"""`python -m evals.compare`: compare runs on the same tickets: A= and B= name their folders.

B may name several runs, separated by commas; each is compared with A. Differences are B's figure minus A's,
paired: both runs are resampled together. Exit codes: 0 no run is worse beyond chance; 1 one is; 2 the runs
cannot be compared.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from math import comb
from pathlib import Path
from typing import Any

from evals import metrics, results
from evals.bootstrap import Array, Statistic, figure
from evals.errors import UsageError
from evals.report import DIFFERENCE_UNITS, TITLES, interval, notes
from evals.scoring import Scored
from support.domain.analysis_schema import URGENCIES

# Shared out among the tests of one comparison (Bonferroni), so that chance alone seldom calls a run worse.
_ALPHA = 0.05
_COMPARED = (
    "categoryAccuracy",
    "categoryMacroF1",
    "urgencyAccuracy",
    "urgencyKappa",
    "criticalRecall",
    "underTriage",
    "calibrationError",
    "answered",
    "replyInLanguage",
    "inputTokens",
    "outputTokens",
    "latencyP50",
    "latencyP95",
    "usdPerThousand",
)

type IsRight = Callable[[Scored], bool]


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Compare the runs that A and B name; return the exit code."""
    try:
        first, others = _runs(environment)
        verdicts = [compare(first, other, sys.stdout.write) for other in others]
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 1 if any(verdicts) else 0


def compare(a: Mapping[str, Any], b: Mapping[str, Any], write: Callable[[str], Any]) -> bool:
    """Write how B differs from A; whether B is worse beyond chance. Raises UsageError."""
    first, second = _pairs(a["scored"], b["scored"])
    write(f"A: {_title(a)}\nB: {_title(b)}\n{len(first)} tickets that both runs have an answer to.\n")
    write(f"\n{'':<36}{'A':>14}{'B':>14}  B minus A, 95 % interval\n")
    statistics = metrics.statistics(first), metrics.statistics(second)
    for name in _COMPARED:
        if name in statistics[0] and name in statistics[1]:
            write(_row(name, statistics[0][name], statistics[1][name], len(first)))
    return _is_worse(first, second, write)


def mcnemar(only_a: int, only_b: int) -> float:
    """The two-sided p-value of McNemar's exact test.

    `only_a` and `only_b` count the tickets that only one of the runs has right.
    """
    number = only_a + only_b
    tail = sum(comb(number, count) for count in range(min(only_a, only_b) + 1))
    return min(1.0, float(2 * tail / 2**number))


def _is_worse(first: Sequence[Scored], second: Sequence[Scored], write: Callable[[str], Any]) -> bool:
    tests: dict[str, IsRight] = {"category": lambda one: one.answered_category == one.category}
    if all(one.urgency for one in first):
        tests["urgency"] = lambda one: one.answered_urgency == one.urgency
        tests["under-triage"] = _is_urgent_enough
    write("\n")
    worse = []
    for name, is_right in tests.items():
        pairs = [(is_right(a), is_right(b)) for a, b in zip(first, second, strict=True)]
        only_a, only_b = pairs.count((True, False)), pairs.count((False, True))
        probability = mcnemar(only_a, only_b)
        if only_b < only_a and probability < _ALPHA / len(tests):
            worse.append(name)
        counts = f"only A right {only_a}, only B right {only_b}"
        write(f"{name}: {counts}, McNemar's exact test p = {probability:.2g}\n")
    verdict = (
        f"B is worse than A beyond chance: {' and '.join(worse)}."
        if worse
        else "B is not worse beyond chance."
    )
    write(f"{verdict}\n\n")
    return bool(worse)


def _is_urgent_enough(one: Scored) -> bool:
    if one.urgency is None or one.answered_urgency is None:
        return False
    return URGENCIES.index(one.answered_urgency) >= URGENCIES.index(one.urgency)


def _row(name: str, first: Statistic, second: Statistic, size: int) -> str:
    def difference(weights: Array) -> Array:
        return second(weights) - first(weights)

    title, unit = TITLES[name]
    gap = interval(figure(difference, size).to_document(), DIFFERENCE_UNITS.get(unit, unit))
    a, b = (interval(figure(one, size).to_document() | {"low": None}, unit) for one in (first, second))
    return f"{title:<36}{a:>14}{b:>14}  {gap}\n"


def _pairs(a: Sequence[Scored], b: Sequence[Scored]) -> tuple[list[Scored], list[Scored]]:
    """The tickets of both runs, in the same order. Raises UsageError if they are not the same tickets."""
    by_id = {one.id: one for one in b}
    pairs = [(one, by_id[one.id]) for one in a if one.id in by_id]
    if not pairs:
        raise UsageError("A and B have no ticket in common: compare runs on the same set.")
    for one, other in pairs:
        if (one.digest, one.category, one.urgency) != (other.digest, other.category, other.urgency):
            raise UsageError(
                f"Ticket {one.id} has another text or another label in B: measure both again on the same set."
            )
    return [one for one, _ in pairs], [other for _, other in pairs]


def _title(run: Mapping[str, Any]) -> str:
    version = f", prompt {run['promptVersion']}" if run["promptVersion"] else ""
    remarks = "".join(f"\n   {note}" for note in notes(run))
    return f"{run['model']}{version}, {run['dataset']}, {run['date']}{remarks}"


def _runs(environment: Mapping[str, str]) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    a, b = environment.get("A"), environment.get("B")
    if not a or not b:
        raise UsageError("Set A=<folder> and B=<folder>, the folders of two runs in .evals/runs.")
    return results.load(Path(a)), [results.load(Path(path)) for path in b.split(",")]


if __name__ == "__main__":
    sys.exit(main())
