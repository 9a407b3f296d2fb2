"""A second deployment of the running stack, and its rollback."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.running_stack import RunningStack

SUBMISSION = {"content": "I was charged twice this month."}


def live(stack: RunningStack, function: str) -> dict[str, Any]:
    """The configuration of a function's live version."""
    name = stack.stack.function_name(function)
    return dict(stack.stack.client("lambda").get_function_configuration(FunctionName=name, Qualifier="live"))


def called(stack: RunningStack) -> set[str]:
    """The versions of the functions that a new execution calls."""
    client = stack.stack.client("stepfunctions")
    alias = client.describe_state_machine_alias(stateMachineAliasArn=f"{stack.stack.state_machine_arn}:live")[
        "routingConfiguration"
    ]
    machine = client.describe_state_machine(stateMachineArn=alias[0]["stateMachineVersionArn"])
    states = json.loads(machine["definition"])["States"].values()
    arns = {state["Parameters"]["FunctionName"] for state in states if "lambda" in state.get("Resource", "")}
    return {arn.rpartition(":")[2] for arn in arns}


@pytest.fixture
def second_release(stack: RunningStack) -> Iterator[Any]:
    """The stack after a deployment with another log level. Afterwards the first release is live again."""
    refused = stack.command("ops", "rollback")
    assert refused.returncode == 2
    assert refused.stdout == f"Acting on the local stack at {stack.stack.web_url}.\n"
    assert "No version was published before" in refused.stderr
    stack.deploy(LogLevel="WARNING")
    yield stack
    stack.command("ops", "rollback")


def test_a_deployment_that_changes_a_parameter_is_live_until_it_is_rolled_back(second_release: Any) -> None:
    stack = second_release
    assert called(stack) == {"2"}
    assert stack.outcome(stack.submit(SUBMISSION))["status"] == "PROCESSED"
    assert live(stack, "tickets")["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"] == "WARNING"

    listed = stack.command("ops", "rollback", DRY_RUN="1")
    assert called(stack) == {"2"}
    done = stack.command("ops", "rollback")

    assert (listed.returncode, done.returncode) == (0, 0), done.stderr
    assert called(stack) == {"1"}
    assert live(stack, "tickets")["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"] == "INFO"
    assert stack.outcome(stack.submit(SUBMISSION))["status"] == "PROCESSED"
    moved = [line.split() for line in done.stdout.splitlines()[1:-1]]
    assert ["TicketPipeline", "2", "→", "1"] in moved
    assert {name for name, *_ in moved} >= {
        "StoreFunction",
        "TicketsFunction",
        "ResumeFunction",
        "SweepFunction",
    }
