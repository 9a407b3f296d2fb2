"""The options of a run, and the command that reads them."""

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from devtools.load.tickets import submissions
from devtools.storm.plan import StormPlan
from local.settings import PROJECT


def test_the_environment_sets_the_options() -> None:
    environment = {"SEED": "7", "N": "60", "QUOTA": "6", "OUTAGE": "10"}

    assert StormPlan.from_environment(environment, tickets=600) == StormPlan(
        seed=7, tickets=60, quota=6, outage=10
    )


def test_the_defaults_are_the_scenarios_and_a_new_seed() -> None:
    plans = [StormPlan.from_environment({"N": "", "SEED": ""}, tickets=600) for _ in range(10)]

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
def test_an_invalid_number_is_rejected_by_name(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a whole number from .*, not {value}"):
        StormPlan.from_environment({name: value}, tickets=600)


def test_the_same_seed_makes_the_same_tickets_each_with_its_own_key() -> None:
    first, second = (
        list(islice(submissions(StormPlan(seed=7, tickets=50).random("tickets")), 50)) for _ in range(2)
    )

    assert first == second
    assert len({submission.key for submission in first}) == 50


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("SCENARIO", "tempest", "SCENARIO must be one of quota, open, outage, replay, pairs, not tempest."),
        ("N", "none", "N must be a whole number from 1 to 5000, not none."),
    ],
)
def test_the_command_rejects_invalid_options_and_starts_nothing(
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
