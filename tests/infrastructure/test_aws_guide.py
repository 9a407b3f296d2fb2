"""docs/aws.md names only existing tests and checks."""

import re
from pathlib import Path

from ops.verify.command import CHECKS

PROJECT = Path(__file__).parents[2]
GUIDE = (PROJECT / "docs" / "aws.md").read_text()


def rows(section: str) -> list[list[str]]:
    """The cells of all tables of a section, without their headers."""
    text = GUIDE.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    lines = re.findall(r"^\| .* \|$", text, re.MULTILINE)
    cells = [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines]
    return [row for row in cells if row[0] not in ("AWS …", "belief")]


def test_every_named_test_exists() -> None:
    named = re.findall(r"`((?:tests|devtools)/[^`*]+)`", GUIDE)
    assert [name for name in named if not (PROJECT / name).exists()] == []


def test_every_named_check_exists() -> None:
    titles = {title for title, _ in CHECKS}
    named = {name for row in rows("What the pipeline relies on") for name in re.findall(r"`([^`]+)`", row[3])}
    assert named <= titles
    assert len(named) > 15


def test_every_expectation_has_a_source_and_every_belief_has_a_consequence() -> None:
    assert all(len(row) == 4 and row[1] for row in rows("What the pipeline relies on"))
    assert all(len(row) == 3 and all(row) for row in rows("What still rests on belief"))
