"""EXPRESS executions: their ARNs, and what StartSyncExecution answers."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from devtools.emulator.tests.harness import ROLE, Emulator, running, unique

ECHO = {
    "StartAt": "Echo",
    "States": {
        "Echo": {
            "Type": "Pass",
            "Parameters": {"id.$": "$$.Execution.Id", "name.$": "$$.Execution.Name", "sent.$": "$"},
            "End": True,
        }
    },
}
FAILS = {"StartAt": "Lost", "States": {"Lost": {"Type": "Fail", "Error": "Lost", "Cause": "It failed."}}}
ENDLESS = {
    "StartAt": "W",
    "States": {"W": {"Type": "Wait", "Seconds": 1000, "End": True}},
    "TimeoutSeconds": 1,
}


# --- ARNs ---


@pytest.mark.parametrize("action", ["start_execution", "start_sync_execution"])
def test_executions_may_share_a_name_and_have_arns_of_their_own(emulator: Emulator, action: str) -> None:
    machine = emulator.machine(ECHO)
    start = getattr(emulator.client("stepfunctions"), action)

    arns = [
        start(stateMachineArn=machine, name="shared", input=json.dumps(number))["executionArn"]
        for number in range(3)
    ]

    outputs = [json.loads(emulator.ended(arn)["output"]) for arn in arns]
    assert outputs == [{"id": arns[number], "name": "shared", "sent": number} for number in range(3)]
    prefix = re.escape(machine.replace(":stateMachine:", ":express:"))
    assert len(set(arns)) == 3
    assert all(re.fullmatch(f"{prefix}:shared:[0-9a-f-]{{36}}", arn) for arn in arns)


def test_an_execution_without_a_name_gets_one(emulator: Emulator) -> None:
    answer = emulator.run_sync(emulator.machine(ECHO))
    assert answer["executionArn"].split(":")[-2] == answer["name"]


@pytest.mark.parametrize("action", ["StartExecution", "StartSyncExecution"])
def test_an_input_that_is_not_json_is_refused(emulator: Emulator, action: str) -> None:
    call = {"stateMachineArn": emulator.machine(ECHO), "input": "{"}
    answer = emulator.ask("states", f"AWSStepFunctions.{action}", call)
    assert (answer.status_code, answer.json()["__type"]) == (400, "InvalidExecutionInput")


# --- The answer of StartSyncExecution ---


def fields(answer: dict[str, Any]) -> set[str]:
    return answer.keys() - {"ResponseMetadata"}


ALWAYS = {
    "executionArn",
    "stateMachineArn",
    "name",
    "startDate",
    "stopDate",
    "status",
    "input",
    "inputDetails",
    "outputDetails",
}


def test_an_execution_that_succeeds_answers_with_its_output(emulator: Emulator) -> None:
    machine = emulator.machine(ECHO)
    answer = emulator.run_sync(machine, '{"a": 1}', name="one")
    assert fields(answer) == {*ALWAYS, "output"}
    assert (answer["status"], answer["stateMachineArn"]) == ("SUCCEEDED", machine)
    assert (answer["name"], answer["input"]) == ("one", '{"a": 1}')
    assert json.loads(answer["output"])["sent"] == {"a": 1}


def test_an_execution_that_fails_answers_with_its_error_and_no_output(emulator: Emulator) -> None:
    answer = emulator.run_sync(emulator.machine(FAILS))
    assert fields(answer) == {*ALWAYS, "error", "cause"}
    assert (answer["status"], answer["error"], answer["cause"]) == ("FAILED", "Lost", "It failed.")


def test_an_execution_that_runs_too_long_answers_that_it_timed_out(emulator: Emulator) -> None:
    answer = emulator.run_sync(emulator.machine(ENDLESS))
    assert fields(answer) == {*ALWAYS, "error", "cause"}
    assert (answer["status"], answer["error"]) == ("TIMED_OUT", "States.Timeout")
    assert answer["cause"]


def test_only_an_express_machine_runs_synchronously(emulator: Emulator) -> None:
    client = emulator.client("stepfunctions")
    standard = client.create_state_machine(
        name=unique("standard"), definition=json.dumps(ECHO), roleArn=ROLE
    )["stateMachineArn"]
    with pytest.raises(client.exceptions.StateMachineTypeNotSupported):
        client.start_sync_execution(stateMachineArn=standard)
    with pytest.raises(client.exceptions.StateMachineDoesNotExist):
        client.start_sync_execution(stateMachineArn=f"{standard}-gone")


def test_a_state_may_run_a_standard_machine_and_wait_for_it(emulator: Emulator) -> None:
    client = emulator.client("stepfunctions")
    inner = client.create_state_machine(name=unique("standard"), definition=json.dumps(ECHO), roleArn=ROLE)
    nested = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": inner["stateMachineArn"], "Input": {"a": 1}},
        "End": True,
    }
    ended = emulator.run(emulator.machine({"StartAt": "Nested", "States": {"Nested": nested}}))
    assert json.loads(ended["output"])["Output"]["sent"] == {"a": 1}


WAITING = """
import os, time

def handler(event, context):
    while not os.path.exists(event["marker"]):
        time.sleep(0.01)
"""


def waiting(emulator: Emulator) -> dict[str, Any]:
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}
    function = emulator.function(WAITING)
    return {
        "StartAt": "Wait",
        "States": {"Wait": task | {"Parameters": {"FunctionName": function, "Payload.$": "$"}}},
    }


def test_other_requests_are_answered_while_executions_run(emulator: Emulator, tmp_path: Path) -> None:
    marker = tmp_path / "go-on"
    machine, echo = emulator.machine(waiting(emulator)), emulator.machine(ECHO)
    text = json.dumps({"marker": str(marker)})
    with ThreadPoolExecutor() as pool:
        held = [pool.submit(emulator.run_sync, machine, text) for _ in range(3)]
        assert emulator.run_sync(echo)["status"] == "SUCCEEDED"
        assert not any(one.done() for one in held)
        marker.touch()
        assert [one.result()["status"] for one in held] == ["SUCCEEDED"] * 3


# --- Logs and metrics ---


def test_a_synchronous_execution_leaves_log_lines_and_metrics(emulator: Emulator) -> None:
    group = unique("/aws/vendedlogs/states/sync")
    emulator.client("logs").create_log_group(logGroupName=group)
    arn = f"arn:aws:logs:eu-central-1:000000000000:log-group:{group}:*"
    logging = {
        "level": "ALL",
        "includeExecutionData": True,
        "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": arn}}],
    }
    machine = emulator.machine(FAILS, loggingConfiguration=logging)

    answer = emulator.run_sync(machine)

    events = emulator.client("logs").filter_log_events(logGroupName=group)["events"]
    lines = [json.loads(event["message"]) for event in events]
    assert [line["type"] for line in lines] == ["ExecutionStarted", "FailStateEntered", "ExecutionFailed"]
    assert {line["execution_arn"] for line in lines} == {answer["executionArn"]}
    metrics = emulator.client("cloudwatch").list_metrics(
        Namespace="AWS/States", Dimensions=[{"Name": "StateMachineArn", "Value": machine}]
    )["Metrics"]
    assert {metric["MetricName"] for metric in metrics} == {"ExecutionsStarted", "ExecutionsFailed"}


# --- Who may start one ---


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    key = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    with running(tmp_path_factory.mktemp("guarded"), AUTH="true", **key) as emulator:
        trust(emulator, ROLE.rpartition("/")[2], "states.amazonaws.com")
        yield emulator


STARTING = """
import boto3

def handler(event, context):
    answer = boto3.client("stepfunctions").start_sync_execution(stateMachineArn=event)
    return answer["status"]
"""


def trust(emulator: Emulator, role: str, service: str) -> str:
    """Create a role which a service may assume; returns its ARN."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    created = emulator.client("iam").create_role(RoleName=role, AssumeRolePolicyDocument=policy(statement))
    return str(created["Role"]["Arn"])


def function_that_may(emulator: Emulator, action: str, resource: str) -> str:
    name = unique("role")
    arn = trust(emulator, name, "lambda.amazonaws.com")
    allowed = policy({"Effect": "Allow", "Action": action, "Resource": resource})
    emulator.client("iam").put_role_policy(RoleName=name, PolicyName="start", PolicyDocument=allowed)
    return emulator.function(STARTING, Role=arn)


def policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def alias(emulator: Emulator, machine: str) -> str:
    client = emulator.client("stepfunctions")
    version = client.publish_state_machine_version(stateMachineArn=machine)["stateMachineVersionArn"]
    routing = [{"stateMachineVersionArn": version, "weight": 100}]
    created = client.create_state_machine_alias(name="live", routingConfiguration=routing)
    return str(created["stateMachineAliasArn"])


def test_a_function_may_start_what_its_role_names_without_a_qualifier(guarded: Emulator) -> None:
    machine = guarded.machine(ECHO)
    live = alias(guarded, machine)
    function = function_that_may(guarded, "states:StartSyncExecution", machine)
    assert guarded.invoke(function, live) == (None, "SUCCEEDED")
    assert guarded.invoke(function, machine) == (None, "SUCCEEDED")


@pytest.mark.parametrize(
    ("action", "suffix"),
    [
        ("states:StartExecution", ""),
        ("states:StartSyncExecution", "-other"),
        ("states:StartSyncExecution", ":live"),
    ],
)
def test_a_function_may_start_nothing_else(guarded: Emulator, action: str, suffix: str) -> None:
    machine = guarded.machine(ECHO)
    live = alias(guarded, machine)
    function = function_that_may(guarded, action, machine + suffix)
    kind, error = guarded.invoke(function, live)
    assert kind == "Unhandled"
    assert "AccessDenied" in error["errorMessage"]
