"""Rollback on the emulator: the previous release is live again, and only what was released is changed."""

from collections.abc import Iterator
from typing import Any

import pytest

from devtools.emulator.tests.harness import Emulator, running
from devtools.emulator.tests.releases import Releases
from ops.options import UsageError
from ops.report import Report
from ops.rollback import rollback
from ops.stack import DeployedStack


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator


@pytest.fixture
def releases(emulator: Emulator) -> Releases:
    return Releases(emulator)


def roll_back(releases: Releases, *, dry_run: bool = False) -> int:
    stack = DeployedStack(
        label="the stack", name=releases.stack, client=releases.emulator.client, outputs={}, parameters={}
    )
    return rollback(stack, Report(), dry_run=dry_run)


def test_the_previous_release_is_live_until_the_next_deployment(
    releases: Releases, capsys: pytest.CaptureFixture[str]
) -> None:
    releases.deploy("good")
    releases.deploy("bad")
    assert (releases.answer(releases.start()), releases.function_answers()) == ("bad", "bad")

    assert roll_back(releases) == 0

    assert (releases.answer(releases.start()), releases.function_answers()) == ("good", "good")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:-1]] == [
        ["Machine", "2", "→", "1"],
        ["Function", "2", "→", "1"],
    ]
    assert lines[-1] == "Done. The next deployment ends the rollback."

    releases.deploy("fixed")
    assert (releases.answer(releases.start()), releases.function_answers()) == ("fixed", "fixed")


def test_a_dry_run_changes_nothing(releases: Releases, capsys: pytest.CaptureFixture[str]) -> None:
    releases.deploy("good")
    releases.deploy("bad")

    assert roll_back(releases, dry_run=True) == 0

    assert (releases.answer(releases.start()), releases.function_answers()) == ("bad", "bad")
    assert "Dry run: nothing was changed." in capsys.readouterr().out


def test_a_version_that_the_last_deployment_did_not_publish_stays_live(
    releases: Releases, capsys: pytest.CaptureFixture[str]
) -> None:
    releases.deploy("one")
    releases.deploy("two")
    releases.deploy_only_the_machine()

    assert roll_back(releases) == 0

    assert (releases.answer(releases.start()), releases.function_answers()) == ("two", "two")
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:-1]] == [
        ["Machine", "3", "→", "2"]
    ]


def test_a_second_rollback_is_rejected(releases: Releases) -> None:
    releases.deploy("one")
    releases.deploy("two")
    releases.deploy("three")
    roll_back(releases)

    with pytest.raises(UsageError, match="published no live version"):
        roll_back(releases)
    assert releases.answer(releases.start()) == "two"


def test_the_first_deployment_cannot_be_rolled_back(releases: Releases) -> None:
    releases.deploy("one")
    with pytest.raises(UsageError, match="No version was published before"):
        roll_back(releases)


def test_a_version_that_calls_a_deleted_function_is_rejected(releases: Releases) -> None:
    releases.deploy("one")
    old = releases.id("FunctionVersion1")
    releases.deploy("two")
    client: Any = releases.emulator.client("lambda")
    client.delete_function(FunctionName=releases.id("Function"), Qualifier=old.rpartition(":")[2])

    with pytest.raises(UsageError, match=r"calls .*:1, which was deleted"):
        roll_back(releases)
    assert (releases.answer(releases.start()), releases.function_answers()) == ("two", "two")
