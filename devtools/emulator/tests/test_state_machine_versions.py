"""Versions and aliases: an execution runs the version that it was started with."""

import json
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from devtools.emulator.state_machine_versions import _QUALIFIER
from devtools.emulator.tests.harness import Emulator, eventually
from devtools.emulator.tests.releases import Releases


@pytest.fixture
def releases(emulator: Emulator) -> Releases:
    return Releases(emulator)


def test_an_alias_starts_the_version_that_it_points_to(
    releases: Releases,
) -> None:
    releases.deploy("one")
    first = releases.id("MachineVersion")
    releases.deploy("two")

    assert releases.answer(releases.start()) == "two"
    assert releases.answer(releases.start(machine=first)) == "one"
    assert releases.answer(releases.start(machine=releases.id("Machine"))) == "two"

    alias, stepfunctions = releases.id("MachineAlias"), releases.emulator.client("stepfunctions")
    routing = [{"stateMachineVersionArn": first, "weight": 100}]
    stepfunctions.update_state_machine_alias(stateMachineAliasArn=alias, routingConfiguration=routing)
    assert releases.answer(releases.start()) == "one"


def test_start_sync_execution_runs_the_version_in_its_arn(releases: Releases) -> None:
    releases.deploy("one")
    first = releases.id("MachineVersion")
    releases.deploy("two")

    def result(machine: str) -> str:
        return str(json.loads(releases.emulator.run_sync(machine)["output"]))

    assert result(releases.id("MachineAlias")) == "two"
    assert result(releases.id("Machine")) == "two"
    assert result(first) == "one"


def test_a_running_execution_keeps_its_version(releases: Releases, tmp_path: Path) -> None:
    releases.deploy("one")
    marker = tmp_path / "continue"
    execution = releases.start(str(marker))
    history = releases.emulator.client("stepfunctions").get_execution_history
    eventually(lambda: len(history(executionArn=execution)["events"]) > 2)

    releases.deploy("two")
    marker.touch()

    assert releases.answer(execution) == "one"
    assert releases.answer(releases.start()) == "two"


def test_a_deployment_keeps_earlier_versions_and_deleting_the_stack_deletes_the_alias(
    releases: Releases,
) -> None:
    stepfunctions = releases.emulator.client("stepfunctions")
    releases.deploy("one")
    releases.deploy("two")
    machine, alias = releases.id("Machine"), releases.id("MachineAlias")

    versions = stepfunctions.list_state_machine_versions(stateMachineArn=machine)["stateMachineVersions"]
    assert {version["stateMachineVersionArn"] for version in versions} == {f"{machine}:1", f"{machine}:2"}
    assert alias == f"{machine}:live"

    releases.emulator.client("cloudformation").delete_stack(StackName=releases.stack)

    def is_deleted() -> bool:
        try:
            stepfunctions.describe_state_machine_alias(stateMachineAliasArn=alias)
        except ClientError:
            return True
        return False

    assert eventually(is_deleted)


@pytest.mark.parametrize("qualifier", ["", ":live", ":7"])
def test_a_call_is_authorized_on_the_state_machines_own_arn(qualifier: str) -> None:
    machine = "arn:aws:states:eu-central-1:000000000000:stateMachine:pipeline"
    assert _QUALIFIER.sub(r"\1", machine + qualifier) == machine
