"""The start of executions: ARNs, names, and the response of StartSyncExecution."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from devtools.emulator.tests.harness import Emulator, policy, unique

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
def test_express_executions_may_share_a_name_and_have_their_own_arns(emulator: Emulator, action: str) -> None:
    machine = emulator.create_state_machine(ECHO)
    start = getattr(emulator.client("stepfunctions"), action)

    arns = [
        start(stateMachineArn=machine, name="shared", input=json.dumps(number))["executionArn"]
        for number in range(3)
    ]

    outputs = [json.loads(emulator.wait_for_end(arn)["output"]) for arn in arns]
    assert outputs == [{"id": arns[number], "name": "shared", "sent": number} for number in range(3)]
    prefix = re.escape(machine.replace(":stateMachine:", ":express:"))
    assert len(set(arns)) == 3
    assert all(re.fullmatch(f"{prefix}:shared:[0-9a-f-]{{36}}", arn) for arn in arns)


def test_an_execution_without_a_name_gets_one(emulator: Emulator) -> None:
    response = emulator.run_sync(emulator.create_state_machine(ECHO))
    assert response["executionArn"].split(":")[-2] == response["name"]


@pytest.mark.parametrize("action", ["StartExecution", "StartSyncExecution"])
def test_an_input_that_is_not_json_is_refused(emulator: Emulator, action: str) -> None:
    call = {"stateMachineArn": emulator.create_state_machine(ECHO), "input": "{"}
    response = emulator.post("states", f"AWSStepFunctions.{action}", call)
    assert (response.status_code, response.json()["__type"]) == (400, "InvalidExecutionInput")


# --- Names ---

INVALID_NAMES = [
    "",
    "x" * 81,
    *(f"a{c}b" for c in ' \t\n<>{}[]?*"#%\\^|~`$&,;:/'),
    *map(chr, (0, 31, 127, 159)),
    7,
]


@pytest.mark.parametrize("name", INVALID_NAMES)
@pytest.mark.parametrize("action", ["StartExecution", "StartSyncExecution"])
def test_a_name_that_aws_refuses_is_refused(emulator: Emulator, action: str, name: Any) -> None:
    response = emulator.post(
        "states", f"AWSStepFunctions.{action}", {"stateMachineArn": "arn:x", "name": name}
    )
    assert (response.status_code, response.json()["__type"]) == (400, "InvalidName")


@pytest.mark.parametrize("name", ["x" * 80, "A-z_0.9+=@!()'", "é😀"])
def test_a_name_that_aws_accepts_is_accepted(emulator: Emulator, name: str) -> None:
    machine = emulator.create_state_machine({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    response = emulator.client("stepfunctions").start_execution(stateMachineArn=machine, name=name)
    assert response["executionArn"].split(":")[-2] == name


def test_standard_executions_may_not_share_a_name(emulator: Emulator) -> None:
    client = emulator.client("stepfunctions")
    arn = emulator.create_state_machine(ECHO, type="STANDARD")
    client.start_execution(stateMachineArn=arn, name="shared")
    with pytest.raises(client.exceptions.ExecutionAlreadyExists):
        client.start_execution(stateMachineArn=arn, name="shared")


# --- The response of StartSyncExecution ---


def fields(response: dict[str, Any]) -> set[str]:
    return response.keys() - {"ResponseMetadata"}


COMMON_FIELDS = {
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


def test_a_succeeded_execution_returns_its_output(emulator: Emulator) -> None:
    machine = emulator.create_state_machine(ECHO)
    response = emulator.run_sync(machine, '{"a": 1}', name="one")
    assert fields(response) == {*COMMON_FIELDS, "output"}
    assert (response["status"], response["stateMachineArn"]) == ("SUCCEEDED", machine)
    assert (response["name"], response["input"]) == ("one", '{"a": 1}')
    assert json.loads(response["output"])["sent"] == {"a": 1}


def test_a_failed_execution_returns_its_error_and_no_output(emulator: Emulator) -> None:
    response = emulator.run_sync(emulator.create_state_machine(FAILS))
    assert fields(response) == {*COMMON_FIELDS, "error", "cause"}
    assert (response["status"], response["error"], response["cause"]) == ("FAILED", "Lost", "It failed.")


def test_an_execution_that_runs_too_long_returns_that_it_timed_out(emulator: Emulator) -> None:
    response = emulator.run_sync(emulator.create_state_machine(ENDLESS))
    assert fields(response) == {*COMMON_FIELDS, "error", "cause"}
    assert (response["status"], response["error"]) == ("TIMED_OUT", "States.Timeout")
    assert response["cause"]


def test_only_express_state_machines_run_synchronously(emulator: Emulator) -> None:
    client = emulator.client("stepfunctions")
    standard = emulator.create_state_machine(ECHO, type="STANDARD")
    with pytest.raises(client.exceptions.StateMachineTypeNotSupported):
        client.start_sync_execution(stateMachineArn=standard)
    with pytest.raises(client.exceptions.StateMachineDoesNotExist):
        client.start_sync_execution(stateMachineArn=f"{standard}-gone")


def test_a_state_may_run_a_standard_state_machine_and_wait_for_it(emulator: Emulator) -> None:
    standard = emulator.create_state_machine(ECHO, type="STANDARD")
    nested = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": standard, "Input": {"a": 1}},
        "End": True,
    }
    ended = emulator.run(emulator.create_state_machine({"StartAt": "Nested", "States": {"Nested": nested}}))
    assert json.loads(ended["output"])["Output"]["sent"] == {"a": 1}


WAITING = """
import os, time

def handler(event, context):
    while not os.path.exists(event["marker"]):
        time.sleep(0.01)
"""


def waiting(emulator: Emulator) -> dict[str, Any]:
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}
    function = emulator.create_function(WAITING)
    return {
        "StartAt": "Wait",
        "States": {"Wait": task | {"Parameters": {"FunctionName": function, "Payload.$": "$"}}},
    }


def test_other_requests_are_served_while_executions_run(emulator: Emulator, tmp_path: Path) -> None:
    marker = tmp_path / "continue"
    machine, echo = emulator.create_state_machine(waiting(emulator)), emulator.create_state_machine(ECHO)
    text = json.dumps({"marker": str(marker)})
    with ThreadPoolExecutor() as pool:
        waiting_executions = [pool.submit(emulator.run_sync, machine, text) for _ in range(3)]
        assert emulator.run_sync(echo)["status"] == "SUCCEEDED"
        assert not any(execution.done() for execution in waiting_executions)
        marker.touch()
        assert [execution.result()["status"] for execution in waiting_executions] == ["SUCCEEDED"] * 3


# --- Logs and metrics ---


def test_a_synchronous_execution_has_log_lines_and_metrics(emulator: Emulator) -> None:
    group = unique("/aws/vendedlogs/states/sync")
    emulator.client("logs").create_log_group(logGroupName=group)
    arn = f"arn:aws:logs:eu-central-1:000000000000:log-group:{group}:*"
    logging = {
        "level": "ALL",
        "includeExecutionData": True,
        "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": arn}}],
    }
    machine = emulator.create_state_machine(FAILS, loggingConfiguration=logging)

    response = emulator.run_sync(machine)

    events = emulator.client("logs").filter_log_events(logGroupName=group)["events"]
    lines = [json.loads(event["message"]) for event in events]
    assert [line["type"] for line in lines] == ["ExecutionStarted", "FailStateEntered", "ExecutionFailed"]
    assert {line["execution_arn"] for line in lines} == {response["executionArn"]}
    metrics = emulator.client("cloudwatch").list_metrics(
        Namespace="AWS/States", Dimensions=[{"Name": "StateMachineArn", "Value": machine}]
    )["Metrics"]
    assert {metric["MetricName"] for metric in metrics} == {"ExecutionsStarted", "ExecutionsFailed"}


# --- Permissions ---


STARTING = """
import boto3

def handler(event, context):
    response = boto3.client("stepfunctions").start_sync_execution(stateMachineArn=event)
    return response["status"]
"""


def function_that_may(emulator: Emulator, action: str, resource: str) -> str:
    """Create a function whose role allows an action on a resource; returns its name."""
    role = unique("role")
    arn = emulator.create_role(role)
    allow = policy({"Effect": "Allow", "Action": action, "Resource": resource})
    emulator.client("iam").put_role_policy(RoleName=role, PolicyName="start", PolicyDocument=allow)
    return emulator.create_function(STARTING, Role=arn)


def alias(emulator: Emulator, machine: str) -> str:
    client = emulator.client("stepfunctions")
    version = client.publish_state_machine_version(stateMachineArn=machine)["stateMachineVersionArn"]
    routing = [{"stateMachineVersionArn": version, "weight": 100}]
    created = client.create_state_machine_alias(name="live", routingConfiguration=routing)
    return str(created["stateMachineAliasArn"])


def test_a_permission_for_a_state_machine_includes_its_aliases(authorizing_emulator: Emulator) -> None:
    emulator = authorizing_emulator
    machine = emulator.create_state_machine(ECHO)
    live = alias(emulator, machine)
    function = function_that_may(emulator, "states:StartSyncExecution", machine)
    assert emulator.invoke(function, live) == (None, "SUCCEEDED")
    assert emulator.invoke(function, machine) == (None, "SUCCEEDED")


@pytest.mark.parametrize(
    ("action", "suffix"),
    [
        ("states:StartExecution", ""),
        ("states:StartSyncExecution", "-other"),
        ("states:StartSyncExecution", ":live"),
    ],
)
def test_a_function_without_that_permission_may_not_start_it(
    authorizing_emulator: Emulator, action: str, suffix: str
) -> None:
    emulator = authorizing_emulator
    machine = emulator.create_state_machine(ECHO)
    live = alias(emulator, machine)
    function = function_that_may(emulator, action, machine + suffix)
    kind, error = emulator.invoke(function, live)
    assert kind == "Unhandled"
    assert "AccessDenied" in error["errorMessage"]
