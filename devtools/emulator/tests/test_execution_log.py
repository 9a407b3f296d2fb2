"""The lines that an execution writes to the log group of its state machine."""

import json
import re
import time
from typing import Any

import pytest

from devtools.emulator.execution_log import MAX_PAYLOAD, _size, _truncated
from devtools.emulator.tests.harness import REGION, ROLE, Emulator, eventually, unique

FUNCTION = """
class Invalid(Exception): pass

def handler(event, context):
    if event["fails"]:
        raise Invalid("no luck")
    return {"id": event["id"]}
"""


@pytest.fixture(scope="module")
def function(emulator: Emulator) -> str:
    return emulator.create_function(FUNCTION)


@pytest.fixture
def group(emulator: Emulator) -> str:
    name = unique("/aws/vendedlogs/states/log")
    emulator.client("logs").create_log_group(logGroupName=name)
    return name


def configuration(emulator: Emulator, group: str, level: str = "ALL", *, data: bool = True) -> dict[str, Any]:
    groups = emulator.client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    arn = groups[0]["arn"] if groups else f"arn:aws:logs:{REGION}:000000000000:log-group:{group}:*"
    destination = {"cloudWatchLogsLogGroup": {"logGroupArn": arn}}
    return {"level": level, "includeExecutionData": data, "destinations": [destination]}


def states(function: str) -> dict[str, Any]:
    """A task whose error is caught, and a choice that ignores the error or fails."""
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload.$": "$"},
        "Catch": [{"ErrorEquals": ["Invalid"], "ResultPath": "$.failure", "Next": "Ignore?"}],
        "ResultSelector": {"id.$": "$.Payload.id"},
        "ResultPath": "$.answer",
        "Next": "Ignore?",
    }
    ignore = {"Variable": "$.ignore", "BooleanEquals": True, "Next": "Identify"}
    return {
        "StartAt": "Task",
        "States": {
            "Task": task,
            "Ignore?": {"Type": "Choice", "Choices": [ignore], "Default": "Failed"},
            "Identify": {"Type": "Pass", "Parameters": {"execution.$": "$$.Execution.Id"}, "End": True},
            "Failed": {"Type": "Fail", "Error": "Failed", "Cause": "It failed."},
        },
    }


def text(*, fails: bool, ignore: bool) -> str:
    return json.dumps({"id": "é😀\n", "fails": fails, "ignore": ignore}, ensure_ascii=False)


def lines(emulator: Emulator, group: str, end: str) -> list[dict[str, Any]]:
    """Wait until the last line in a group has the type `end`; returns all lines."""

    def complete() -> list[dict[str, Any]]:
        events = emulator.client("logs").filter_log_events(logGroupName=group)["events"]
        lines = [json.loads(event["message"]) for event in events]
        assert all(event["message"].startswith('{"id":"') for event in events)
        assert [line["event_timestamp"] for line in lines] == [str(event["timestamp"]) for event in events]
        return lines if lines and lines[-1]["type"] == end else []

    return eventually(complete)


def types(log: list[dict[str, Any]]) -> list[str]:
    return [line["type"] for line in log]


SUCCEEDED = [
    "ExecutionStarted",
    "TaskStateEntered",
    "TaskScheduled",
    "TaskStarted",
    "TaskSucceeded",
    "TaskStateExited",
    "ChoiceStateEntered",
    "ChoiceStateExited",
    "PassStateEntered",
    "PassStateExited",
    "ExecutionSucceeded",
]
CAUGHT = [name.replace("TaskSucceeded", "TaskFailed") for name in SUCCEEDED]
FAILED = [*CAUGHT[:8], "FailStateEntered", "ExecutionFailed"]


def test_an_execution_that_succeeds_logs_its_whole_history(
    emulator: Emulator, function: str, group: str
) -> None:
    machine = emulator.create_state_machine(
        states(function), loggingConfiguration=configuration(emulator, group)
    )
    before = time.time_ns() // 10**6
    submitted = text(fails=False, ignore=True)
    ended = emulator.run(machine, submitted)
    log = lines(emulator, group, "ExecutionSucceeded")
    assert types(log) == SUCCEEDED
    assert [line["id"] for line in log] == [str(number) for number in range(1, 12)]
    assert [line["previous_event_id"] for line in log] == ["0", "0", *(str(n) for n in range(2, 11))]
    assert all(before <= int(line["event_timestamp"]) < before + 60_000 for line in log)
    assert {line["redrive_count"] for line in log} == {"0"}
    assert {line["execution_arn"] for line in log} == {ended["executionArn"]}

    details = [line["details"] for line in log]
    complete = {"truncated": False}
    assert details[0] == {"input": submitted, "inputDetails": complete, "roleArn": ROLE}
    assert json.loads(details[1].pop("input")) == json.loads(submitted)
    assert details[1] == {"inputDetails": complete, "name": "Task"}
    task = {"resource": "invoke", "resourceType": "lambda"}
    parameters = {"FunctionName": function, "Payload": json.loads(submitted)}
    assert json.loads(details[2].pop("parameters")) == parameters
    assert details[2] == task | {"region": REGION}
    assert details[3] == task
    assert json.loads(details[4].pop("output"))["Payload"]["id"] == "é😀\n"
    assert details[4] == task | {"outputDetails": complete}
    assert json.loads(details[5].pop("output"))["answer"] == {"id": "é😀\n"}
    assert details[5] == {"name": "Task", "outputDetails": complete}
    assert details[6]["name"] == "Ignore?"
    assert json.loads(details[10]["output"]) == {"execution": ended["executionArn"]}


def test_an_execution_that_fails_logs_its_error(emulator: Emulator, function: str, group: str) -> None:
    machine = emulator.create_state_machine(
        states(function), loggingConfiguration=configuration(emulator, group)
    )
    emulator.run(machine, text(fails=True, ignore=False))
    log = lines(emulator, group, "ExecutionFailed")
    assert types(log) == FAILED
    failed = log[4]["details"]
    assert json.loads(failed.pop("cause"))["errorMessage"] == "no luck"
    assert failed == {"error": "Invalid", "resource": "invoke", "resourceType": "lambda"}
    assert log[-2]["details"]["name"] == "Failed"
    assert log[-1]["details"] == {"error": "Failed", "cause": "It failed."}


def test_a_caught_error_is_logged(emulator: Emulator, function: str, group: str) -> None:
    machine = emulator.create_state_machine(
        states(function), loggingConfiguration=configuration(emulator, group)
    )
    emulator.run(machine, text(fails=True, ignore=True))
    log = lines(emulator, group, "ExecutionSucceeded")
    assert types(log) == CAUGHT
    assert json.loads(log[5]["details"]["output"])["failure"]["Error"] == "Invalid"


def test_nothing_is_logged_after_an_execution_was_aborted(emulator: Emulator, group: str) -> None:
    wait = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 100, "End": True}}}
    machine = emulator.create_state_machine(wait, loggingConfiguration=configuration(emulator, group))
    client = emulator.client("stepfunctions")
    execution = client.start_execution(stateMachineArn=machine)["executionArn"]
    lines(emulator, group, "WaitStateEntered")
    client.stop_execution(executionArn=execution, error="Stopped", cause="Enough.")

    def history() -> list[str]:
        return [event["type"] for event in client.get_execution_history(executionArn=execution)["events"]]

    assert eventually(lambda: history()[-1] == "WaitStateExited")
    log = lines(emulator, group, "ExecutionAborted")
    assert types(log) == ["ExecutionStarted", "WaitStateEntered", "ExecutionAborted"]
    assert log[-1]["details"] == {"error": "Stopped", "cause": "Enough."}


@pytest.mark.parametrize("level", ["ALL", "ERROR"])
def test_a_task_that_times_out_is_logged_as_such(emulator: Emulator, group: str, level: str) -> None:
    slow = emulator.create_function("import time\ndef handler(event, context): time.sleep(60)")
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": slow},
        "TimeoutSeconds": 1,
        "End": True,
    }
    configured = configuration(emulator, group, level)
    emulator.run(
        emulator.create_state_machine(
            {"StartAt": "Task", "States": {"Task": task}}, loggingConfiguration=configured
        )
    )
    log = lines(emulator, group, "ExecutionFailed")
    assert types(log)[-2:] == ["TaskTimedOut", "ExecutionFailed"]
    assert log[-2]["details"] == {
        "error": "States.Timeout",
        "resource": "invoke",
        "resourceType": "lambda",
    }


def test_executions_share_log_streams_in_the_order_of_their_events(
    emulator: Emulator, function: str, group: str
) -> None:
    machine = emulator.create_state_machine(
        states(function), loggingConfiguration=configuration(emulator, group)
    )
    for _ in range(3):
        emulator.run(machine, text(fails=False, ignore=True))
    lines(emulator, group, "ExecutionSucceeded")
    client = emulator.client("logs")
    streams = [one["logStreamName"] for one in client.describe_log_streams(logGroupName=group)["logStreams"]]
    # Two, if the minute has just changed.
    assert len(streams) <= 2
    assert all(re.fullmatch(r"states/[^/]+/\d{4}(-\d\d){4}/[0-9a-f]{8}", name) for name in streams)
    for name in streams:
        events = client.get_log_events(logGroupName=group, logStreamName=name, startFromHead=True)["events"]
        times = [event["timestamp"] for event in events]
        assert times == sorted(times)


def test_a_timeout_is_logged(emulator: Emulator, group: str) -> None:
    states = {"W": {"Type": "Wait", "Seconds": 1000, "End": True}}
    definition = {"StartAt": "W", "States": states, "TimeoutSeconds": 1}
    emulator.run(
        emulator.create_state_machine(definition, loggingConfiguration=configuration(emulator, group))
    )
    log = lines(emulator, group, "ExecutionTimedOut")
    assert types(log) == ["ExecutionStarted", "WaitStateEntered", "ExecutionTimedOut"]
    assert log[-1]["details"]["error"] == "States.Timeout"


@pytest.mark.parametrize(
    ("level", "logged"),
    [("ERROR", ["TaskFailed", "FailStateEntered", "ExecutionFailed"]), ("FATAL", ["ExecutionFailed"])],
)
def test_the_levels_error_and_fatal_log_failures_only(
    emulator: Emulator, function: str, group: str, level: str, logged: list[str]
) -> None:
    machine = emulator.create_state_machine(
        states(function), loggingConfiguration=configuration(emulator, group, level)
    )
    emulator.run(machine, text(fails=False, ignore=True))
    emulator.run(machine, text(fails=True, ignore=False))
    assert types(lines(emulator, group, "ExecutionFailed")) == logged


def test_the_level_off_logs_nothing(emulator: Emulator, function: str, group: str) -> None:
    off = emulator.create_state_machine(
        states(function), loggingConfiguration=configuration(emulator, group, "OFF")
    )
    emulator.run(off, text(fails=True, ignore=False))
    on = emulator.create_state_machine(states(function), loggingConfiguration=configuration(emulator, group))
    ended = emulator.run(on, text(fails=True, ignore=False))
    log = lines(emulator, group, "ExecutionFailed")
    assert {line["execution_arn"] for line in log} == {ended["executionArn"]}


def test_without_execution_data_only_names_and_errors_are_logged(
    emulator: Emulator, function: str, group: str
) -> None:
    without = configuration(emulator, group, data=False)
    emulator.run(
        emulator.create_state_machine(states(function), loggingConfiguration=without),
        text(fails=True, ignore=True),
    )
    log = lines(emulator, group, "ExecutionSucceeded")
    assert types(log) == CAUGHT
    fields = {field for line in log for field in line["details"]}
    assert fields == {"roleArn", "name", "region", "resource", "resourceType", "error", "cause"}


def test_a_missing_log_group_is_reported_and_does_not_make_the_execution_fail(
    emulator: Emulator, function: str
) -> None:
    missing = unique("missing")
    machine = emulator.create_state_machine(
        states(function), loggingConfiguration=configuration(emulator, missing)
    )
    ended = emulator.run(machine, text(fails=False, ignore=True))
    assert ended["status"] == "SUCCEEDED"
    reason = f"The specified log group does not exist: {missing}"
    assert eventually(lambda: emulator.output.read_text().count(reason) == len(SUCCEEDED))
    assert f"ExecutionSucceeded of {ended['executionArn']} could not be logged" in (
        emulator.output.read_text()
    )


def test_executions_of_a_state_machine_in_a_stack_are_logged(emulator: Emulator, group: str) -> None:
    logs = configuration(emulator, group)
    arn = logs["destinations"][0]["cloudWatchLogsLogGroup"]["logGroupArn"]
    properties = {
        "StateMachineType": "EXPRESS",
        "Definition": {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}},
        "RoleArn": ROLE,
        "LoggingConfiguration": {
            "Level": "ALL",
            "IncludeExecutionData": True,
            "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": arn}}],
        },
    }
    resources = {"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}}
    emulator.run(emulator.deploy(unique("logged"), resources)["Machine"], '{"a": 1}')
    log = lines(emulator, group, "ExecutionSucceeded")
    assert types(log)[1:-1] == ["SucceedStateEntered", "SucceedStateExited"]
    assert json.loads(log[-1]["details"]["output"]) == {"a": 1}


@pytest.mark.parametrize("character", ["x", '"', "é", "😀", "\n", "\0", "\ud83d"])
def test_a_payload_that_is_too_long_for_the_line_is_truncated(character: str) -> None:
    fits = character * (MAX_PAYLOAD // _size(character))
    assert _truncated(fits) == fits
    assert _truncated(fits + character * 3) == fits
