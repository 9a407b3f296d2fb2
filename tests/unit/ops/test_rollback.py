"""Rollback, on the real emulator: the release before is back, and only what was released goes back."""

from collections.abc import Iterator
from typing import Any

import pytest

from devtools.emulator.tests.harness import Emulator, running
from devtools.emulator.tests.releases import Releases
from ops.errors import UsageError
from ops.rollback import rollback
from ops.stack import DeployedStack


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator


@pytest.fixture
def releases(emulator: Emulator) -> Releases:
    return Releases(emulator)


def deployed(releases: Releases) -> DeployedStack:
    return DeployedStack(
        title="the stack", name=releases.stack, client=releases.emulator.client, outputs={}, parameters={}
    )


def test_the_release_before_answers_again_until_the_next_deployment(
    releases: Releases, capsys: pytest.CaptureFixture[str]
) -> None:
    releases.deploy("good")
    releases.deploy("bad")
    assert (releases.answer(releases.start()), releases.function_answers()) == ("bad", "bad")

    assert rollback(deployed(releases), dry_run=False) == 0

    assert (releases.answer(releases.start()), releases.function_answers()) == ("good", "good")
    said = capsys.readouterr().out.splitlines()
    assert [line.split() for line in said[1:-1]] == [
        ["Machine", "2", "→", "1"],
        ["Function", "2", "→", "1"],
    ]
    assert said[-1] == "Done. The next deployment moves forward again."

    releases.deploy("mended")
    assert (releases.answer(releases.start()), releases.function_answers()) == ("mended", "mended")


def test_a_dry_run_moves_nothing(releases: Releases, capsys: pytest.CaptureFixture[str]) -> None:
    releases.deploy("good")
    releases.deploy("bad")

    assert rollback(deployed(releases), dry_run=True) == 0

    assert (releases.answer(releases.start()), releases.function_answers()) == ("bad", "bad")
    assert "DRY_RUN: nothing was moved." in capsys.readouterr().out


def test_what_the_last_deployment_did_not_publish_stays(
    releases: Releases, capsys: pytest.CaptureFixture[str]
) -> None:
    releases.deploy("one")
    releases.deploy("two")
    releases.deploy_only_the_machine()

    assert rollback(deployed(releases), dry_run=False) == 0

    assert (releases.answer(releases.start()), releases.function_answers()) == ("two", "two")
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:-1]] == [
        ["Machine", "3", "→", "2"]
    ]


def test_a_second_rollback_is_refused_because_it_would_go_back_another_release(releases: Releases) -> None:
    releases.deploy("one")
    releases.deploy("two")
    releases.deploy("three")
    rollback(deployed(releases), dry_run=False)

    with pytest.raises(UsageError, match="Nothing that is live was published by the deployment"):
        rollback(deployed(releases), dry_run=False)
    assert releases.answer(releases.start()) == "two"


def test_the_first_deployment_is_not_rolled_back(releases: Releases) -> None:
    releases.deploy("one")
    with pytest.raises(UsageError, match="no version from before"):
        rollback(deployed(releases), dry_run=False)


def test_a_version_whose_function_somebody_deleted_is_refused(releases: Releases) -> None:
    releases.deploy("one")
    old = releases.id("FunctionVersion1")
    releases.deploy("two")
    client: Any = releases.emulator.client("lambda")
    client.delete_function(FunctionName=releases.id("Function"), Qualifier=old.rpartition(":")[2])

    with pytest.raises(UsageError, match=r":1, which the version before calls, was deleted"):
        rollback(deployed(releases), dry_run=False)
    assert (releases.answer(releases.start()), releases.function_answers()) == ("two", "two")
