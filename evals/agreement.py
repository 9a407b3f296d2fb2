"""`python -m evals.agreement`: the agreement of a second, blind pass over the gold labels with the first.

Prints Cohen's kappa with its interval for each label, and the tickets that the passes label differently.
Exit code 2: a file is missing or invalid.
"""

import sys
from collections.abc import Mapping, Sequence, Set
from pathlib import Path

from evals import gold
from evals.bootstrap import Statistic, figure
from evals.errors import UsageError
from evals.example import Example
from evals.metrics import kappa, weighted_kappa
from evals.report import interval
from support.domain.analysis_schema import URGENCIES

_LABELS = ("category", "urgency", "language")


def main(folder: Path = gold.FOLDER) -> int:
    """Print the agreement; return the exit code."""
    try:
        first = [
            example for name in (gold.TICKETS, gold.HELD_OUT) for example in gold.load(folder / name).examples
        ]
        second = _second_pass(folder / gold.SECOND_PASS, {example.id for example in first})
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write("\n".join([*_kappas(first, second), "", *_disagreements(first, second)]) + "\n")
    return 0


def _second_pass(path: Path, ids: Set[str]) -> dict[str, Mapping[str, str]]:
    """The labels of the second pass by id. Raises UsageError: a file is invalid, or lacks one of the ids."""
    labels: dict[str, Mapping[str, str]] = {}
    for where, document in gold.read_lines(path):
        if not all(isinstance(document.get(name), str) for name in ("id", *_LABELS)):
            raise UsageError(f"{where}: needs the texts id, {', '.join(_LABELS)}.")
        labels[document["id"]] = document
    if missing := sorted(ids - labels.keys()):
        raise UsageError(f"{path} has no labels for {', '.join(missing[:5])}.")
    return labels


def _kappas(first: Sequence[Example], second: Mapping[str, Mapping[str, str]]) -> list[str]:
    lines = [f"{len(first)} tickets, labelled twice. Cohen's kappa, 95 % interval:"]
    for label in _LABELS:
        one, other = _values(first, second, label)
        same = sum(a == b for a, b in zip(one, other, strict=True))
        names = sorted({*one, *other})
        lines.append(_line(label, kappa(one, other, names), len(one), f"{same} the same"))
        if label == "urgency":
            weighted = weighted_kappa(one, other, URGENCIES)
            lines.append(_line("urgency, quadratic weights", weighted, len(one), ""))
    return lines


def _disagreements(first: Sequence[Example], second: Mapping[str, Mapping[str, str]]) -> list[str]:
    lines = []
    for label in _LABELS:
        one, other = _values(first, second, label)
        for example, a, b in zip(first, one, other, strict=True):
            if a != b:
                lines.append(f"{example.id}: {label} {a}, second pass {b}. {example.reason}")
    return sorted(lines) or ["The passes agree on every label."]


def _values(
    first: Sequence[Example], second: Mapping[str, Mapping[str, str]], label: str
) -> tuple[list[str], list[str]]:
    return [getattr(example, label) for example in first], [second[example.id][label] for example in first]


def _line(label: str, statistic: Statistic, size: int, remark: str) -> str:
    return f"{label:<30}{interval(figure(statistic, size).to_document(), 'score'):<28}{remark}".rstrip()


if __name__ == "__main__":
    sys.exit(main())
