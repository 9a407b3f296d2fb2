"""The numbers of a run, as they come from the environment, and the command that takes them."""

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from devtools.load.submission import ordinary_submissions
from devtools.storm.plan import Plan
from local.deploy import PROJECT


def test_the_environment_sets_the_numbers() -> None:
    environment = {"SEED": "7", "N": "60", "QUOTA": "6", "OUTAGE": "10"}

    assert Plan.from_environment(environment, tickets=600) == Plan(seed=7, tickets=60, quota=6, outage=10)


def test_what_is_not_set_has_the_scenarios_default_and_a_new_seed() -> None:
    plans = [Plan.from_environment({"N": "", "SEED": ""}, tickets=600) for _ in range(10)]

    assert {(plan.tickets, plan.quota, plan.outage) for plan in plans} == {(600, 2, 30)}
    assert len({plan.seed for plan in plans}) > 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("N", "0"),
        ("N", "many"),
        ("N", "5001"),
        ("QUOTA", "0"),
        ("QUOTA", "0.5"),
        ("OUTAGE", "-1"),
        ("SEED", "x"),
    ],
)
def test_a_number_out_of_range_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{name}={value} is not a whole number from"):
        Plan.from_environment({name: value}, tickets=600)


def test_the_same_seed_makes_the_same_tickets_and_no_two_have_one_key() -> None:
    first, second = (
        list(islice(ordinary_submissions(Plan(seed=7, tickets=50).chance("tickets")), 50)) for _ in range(2)
    )

    assert first == second
    assert len({submission.key for submission in first}) == 50


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("SCENARIO", "tempest", "SCENARIO=tempest is not one of quota, open, outage, replay, pairs."),
        ("N", "none", "N=none is not a whole number from 1 to 5000."),
    ],
)
def test_the_command_says_what_is_wrong_and_starts_nothing(
    name: str, value: str, reason: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "devtools.storm"],
        cwd=PROJECT,
        env=os.environ | {name: value, "STACK_DIR": str(tmp_path / "stack")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stderr.strip()) == (1, reason)
    assert list(tmp_path.iterdir()) == []
