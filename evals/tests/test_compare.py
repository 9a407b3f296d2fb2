"""A comparison fails only if a run is worse beyond chance, and only on the same tickets."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from evals import compare, results
from evals.results import Run
from evals.scoring import Scorer
from evals.tests.conftest import document, example, scored


def save(  # noqa: PLR0913 - what differs between runs, by name
    folder: Path,
    scorer: Scorer,
    wrong: int,
    *,
    urgency: str = "MEDIUM",
    answered_urgency: str = "MEDIUM",
    tickets: int = 60,
) -> str:
    """A run in which so many categories are wrong."""
    examples = [example(f"t-{number}", urgency=urgency) for number in range(tickets)]
    answers = [
        document(category="ORDER" if number < wrong else "BILLING", urgency=answered_urgency)
        for number in range(tickets)
    ]
    run = Run(
        model=f"{wrong} wrong",
        is_stand_in=False,
        is_baseline=False,
        prompt_version="p",
        dataset="d",
        date="2026-12-01",
        threshold=0.6,
        target=0.95,
        spent_usd=0,
        unanswered=Counter(),
        replies={},
        scored=[scored(scorer, one, answer) for one, answer in zip(examples, answers, strict=True)],
    )
    folder.mkdir()
    (folder / results.FILE).write_text(json.dumps(results.to_document(run)))
    return str(folder)


def test_a_run_that_is_clearly_worse_fails(tmp_path: Path, scorer: Scorer, capsys: Any) -> None:
    a, b = save(tmp_path / "a", scorer, 5), save(tmp_path / "b", scorer, 25)

    assert compare.main({"A": a, "B": b}) == 1
    output = capsys.readouterr().out
    assert "category: only A right 20, only B right 0, McNemar's exact test p = 1.9e-06" in output
    assert "B is worse than A beyond chance: category." in output
    assert re.search(r"-33\.3 points \(-4\d\.\d to -2\d\.\d points\)", output)
    assert "price of 1,000 tickets" in output


def test_a_better_run_and_a_difference_by_chance_pass(tmp_path: Path, scorer: Scorer, capsys: Any) -> None:
    runs = [save(tmp_path / str(wrong), scorer, wrong) for wrong in (10, 13, 0)]

    assert compare.main({"A": runs[0], "B": f"{runs[1]},{runs[2]}"}) == 0
    assert capsys.readouterr().out.count("B is not worse beyond chance.") == 2


def test_urgencies_that_are_too_low_are_worse_than_those_that_are_too_high(
    tmp_path: Path, scorer: Scorer, capsys: Any
) -> None:
    too_high = save(tmp_path / "a", scorer, 0, urgency="HIGH", answered_urgency="CRITICAL")
    too_low = save(tmp_path / "b", scorer, 0, urgency="HIGH", answered_urgency="MEDIUM")

    assert compare.main({"A": too_high, "B": too_low}) == 1
    assert "B is worse than A beyond chance: under-triage." in capsys.readouterr().out


def test_only_tickets_that_both_runs_answered_are_compared(
    tmp_path: Path, scorer: Scorer, capsys: Any
) -> None:
    a, b = save(tmp_path / "a", scorer, 0), save(tmp_path / "b", scorer, 0, tickets=40)

    assert compare.main({"A": a, "B": b}) == 0
    assert "40 tickets that both runs have an answer to." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("", "x"), "Set A=<folder> and B=<folder>"),
        (("a", "missing"), "missing has no results of `make eval`"),
        (("a", "relabelled"), "Ticket t-0 has another text or another label in B"),
    ],
)
def test_wrong_use_exits_with_2(
    tmp_path: Path, scorer: Scorer, capsys: Any, names: tuple[str, str], expected: str
) -> None:
    save(tmp_path / "a", scorer, 0)
    save(tmp_path / "relabelled", scorer, 0, urgency="LOW")
    a, b = (name and str(tmp_path / name) for name in names)

    assert compare.main({"A": a, "B": b}) == 2
    assert expected in capsys.readouterr().err
