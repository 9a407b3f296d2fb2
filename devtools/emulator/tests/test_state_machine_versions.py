"""Versions and aliases: what runs is what was released, whatever is released meanwhile."""

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


def test_an_execution_that_is_started_by_the_alias_runs_the_version_that_it_points_to(
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


def test_a_synchronous_execution_runs_the_version_that_its_arn_leads_to(releases: Releases) -> None:
    releases.deploy("one")
    first = releases.id("MachineVersion")
    releases.deploy("two")

    def answer(machine: str) -> str:
        return str(json.loads(releases.emulator.run_sync(machine)["output"]))

    assert answer(releases.id("MachineAlias")) == "two"
    assert answer(releases.id("Machine")) == "two"
    assert answer(first) == "one"


def test_a_running_execution_finishes_on_the_code_that_it_began_with(
    releases: Releases, tmp_path: Path
) -> None:
    releases.deploy("one")
    marker = tmp_path / "go-on"
    execution = releases.start(str(marker))
    history = releases.emulator.client("stepfunctions").get_execution_history
    eventually(lambda: len(history(executionArn=execution)["events"]) > 2)

    releases.deploy("two")
    marker.touch()

    assert releases.answer(execution) == "one"
    assert releases.answer(releases.start()) == "two"


def test_another_release_keeps_the_versions_before_it_and_the_stacks_end_removes_the_alias(
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

    def is_gone() -> bool:
        try:
            stepfunctions.describe_state_machine_alias(stateMachineAliasArn=alias)
        except ClientError:
            return True
        return False

    assert eventually(is_gone)


@pytest.mark.parametrize("qualifier", ["", ":live", ":7"])
def test_a_call_is_authorised_on_the_state_machines_own_arn(qualifier: str) -> None:
    machine = "arn:aws:states:eu-central-1:000000000000:stateMachine:pipeline"
    assert _QUALIFIER.sub(r"\1", machine + qualifier) == machine
