"""The split into two files, and the agreement of two passes over the labels."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from evals import agreement, gold, split
from evals.tests.test_files import TICKET, gold_file

CATEGORIES = ("BILLING", "ORDER", "OTHER")
TICKETS = [
    TICKET | {"id": f"{category.lower()}-{number:03}", "category": category, "content": f"Text {number}"}
    for category in CATEGORIES
    for number in range(12)
]


def test_a_third_of_each_category_is_held_out_whatever_the_order(tmp_path: Path) -> None:
    results = []
    for name, tickets in (("a", TICKETS), ("b", TICKETS[::-1])):
        folder = tmp_path / name
        folder.mkdir()
        assert split.main([gold_file(folder, *tickets)], folder) == 0
        results.append([gold.load(folder / part).examples for part in (gold.TICKETS, gold.HELD_OUT)])

    (kept, held_out), again = results
    assert [kept, held_out] == again
    assert len(kept) + len(held_out) == len(TICKETS)
    assert Counter(one.category for one in held_out) == dict.fromkeys(CATEGORIES, 4)


def passes(folder: Path, **changes: dict[str, str]) -> Path:
    """Both files of gold tickets and a second pass that differs in some labels."""
    split.main([gold_file(folder, *TICKETS)], folder)
    labels = [
        {name: ticket[name] for name in ("id", "category", "urgency", "language")}
        | changes.get(str(ticket["id"]).replace("-", "_"), {})
        for ticket in TICKETS
    ]
    (folder / gold.SECOND_PASS).write_text("\n".join(map(json.dumps, labels)))
    return folder


def test_the_agreement_is_printed_with_every_disagreement(tmp_path: Path, capsys: Any) -> None:
    folder = passes(tmp_path, billing_003={"category": "ORDER", "urgency": "LOW"})

    assert agreement.main(folder) == 0

    output = capsys.readouterr().out
    assert "36 tickets, labelled twice." in output
    assert "category                      0.958 (" in output
    assert "billing-003: category BILLING, second pass ORDER. A double charge" in output
    assert "billing-003: urgency MEDIUM, second pass LOW." in output


def test_a_second_pass_that_lacks_tickets_is_refused(tmp_path: Path, capsys: Any) -> None:
    folder = passes(tmp_path)
    (folder / gold.SECOND_PASS).write_text("")

    assert agreement.main(folder) == 2
    assert "has no labels for billing-000" in capsys.readouterr().err
