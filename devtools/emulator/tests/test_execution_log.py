"""What an execution leaves in the log group of its state machine."""

import json
import time
from typing import Any

import pytest

from devtools.emulator.execution_log import MAX_PAYLOAD, _cut, _size
from devtools.emulator.tests.harness import ROLE, Emulator, eventually, unique

FUNCTION = """
class Invalid(Exception): pass

def handler(event, context):
    if event["fails"]:
        raise Invalid("no luck")
    return {"id": event["id"]}
"""


@pytest.fixture(scope="module")
def function(emulator: Emulator) -> str:
    return emulator.function(FUNCTION)


@pytest.fixture
def group(emulator: Emulator) -> str:
    name = unique("/aws/vendedlogs/states/log")
    emulator.client("logs").create_log_group(logGroupName=name)
    return name


def configuration(emulator: Emulator, group: str, level: str = "ALL", *, data: bool = True) -> dict[str, Any]:
    groups = emulator.client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    arn = groups[0]["arn"] if groups else f"arn:aws:logs:eu-central-1:000000000000:log-group:{group}:*"
    destination = {"cloudWatchLogsLogGroup": {"logGroupArn": arn}}
    return {"level": level, "includeExecutionData": data, "destinations": [destination]}


def states(function: str) -> dict[str, Any]:
    """A task whose failure is caught; then a choice, which forgives it or not."""
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload.$": "$"},
        "Catch": [{"ErrorEquals": ["Invalid"], "ResultPath": "$.failure", "Next": "Forgive?"}],
        "ResultSelector": {"id.$": "$.Payload.id"},
        "ResultPath": "$.answer",
        "Next": "Forgive?",
    }
    forgive = {"Variable": "$.forgive", "BooleanEquals": True, "Next": "Identify"}
    return {
        "StartAt": "Ask",
        "States": {
            "Ask": task,
            "Forgive?": {"Type": "Choice", "Choices": [forgive], "Default": "Lost"},
            "Identify": {"Type": "Pass", "Parameters": {"execution.$": "$$.Execution.Id"}, "End": True},
            "Lost": {"Type": "Fail", "Error": "Lost", "Cause": "It failed."},
        },
    }


def text(*, fails: bool, forgive: bool) -> str:
    return json.dumps({"id": "é😀\n", "fails": fails, "forgive": forgive}, ensure_ascii=False)


def lines(emulator: Emulator, group: str, end: str) -> list[dict[str, Any]]:
    """The lines in a group, when the last is of the type `end`."""

    def found() -> list[dict[str, Any]]:
        events = emulator.client("logs").filter_log_events(logGroupName=group)["events"]
        lines = [json.loads(event["message"]) for event in events]
        assert all(event["message"].startswith('{"id":"') for event in events)
        assert [line["event_timestamp"] for line in lines] == [str(event["timestamp"]) for event in events]
        return lines if lines and lines[-1]["type"] == end else []

    return eventually(found)


def types(found: list[dict[str, Any]]) -> list[str]:
    return [line["type"] for line in found]


SUCCEEDED = [
    "ExecutionStarted",
    "TaskStateEntered",
    "TaskScheduled",
    "TaskSucceeded",
    "TaskStateExited",
    "ChoiceStateEntered",
    "ChoiceStateExited",
    "PassStateEntered",
    "PassStateExited",
    "ExecutionSucceeded",
]
CAUGHT = [name.replace("TaskSucceeded", "TaskFailed") for name in SUCCEEDED]
FAILED = [*CAUGHT[:7], "FailStateEntered", "ExecutionFailed"]


def test_an_execution_that_succeeds_writes_its_whole_history(
    emulator: Emulator, function: str, group: str
) -> None:
    machine = emulator.machine(states(function), loggingConfiguration=configuration(emulator, group))
    before = time.time_ns() // 10**6
    submitted = text(fails=False, forgive=True)
    ended = emulator.run(machine, submitted)
    found = lines(emulator, group, "ExecutionSucceeded")
    assert types(found) == SUCCEEDED
    assert [line["id"] for line in found] == [str(number) for number in range(1, 11)]
    assert [line["previous_event_id"] for line in found] == ["0", "0", *(str(n) for n in range(2, 10))]
    assert all(before <= int(line["event_timestamp"]) < before + 60_000 for line in found)
    assert {line["redrive_count"] for line in found} == {"0"}
    assert {line["execution_arn"] for line in found} == {ended["executionArn"]}

    details = [line["details"] for line in found]
    whole = {"truncated": False}
    assert details[0] == {"input": submitted, "inputDetails": whole, "roleArn": ROLE}
    assert json.loads(details[1].pop("input")) == json.loads(submitted)
    assert details[1] == {"inputDetails": whole, "name": "Ask"}
    assert details[2] == {"resource": "invoke", "resourceType": "lambda"}
    assert json.loads(details[3].pop("output"))["Payload"]["id"] == "é😀\n"
    assert details[3] == {"outputDetails": whole, "resource": "invoke", "resourceType": "lambda"}
    assert json.loads(details[4].pop("output"))["answer"] == {"id": "é😀\n"}
    assert details[4] == {"name": "Ask", "outputDetails": whole}
    assert details[5]["name"] == "Forgive?"
    assert json.loads(details[9]["output"]) == {"execution": ended["executionArn"]}


def test_an_execution_that_fails_says_why(emulator: Emulator, function: str, group: str) -> None:
    machine = emulator.machine(states(function), loggingConfiguration=configuration(emulator, group))
    emulator.run(machine, text(fails=True, forgive=False))
    found = lines(emulator, group, "ExecutionFailed")
    assert types(found) == FAILED
    failed = found[3]["details"]
    assert json.loads(failed.pop("cause"))["errorMessage"] == "no luck"
    assert failed == {"error": "Invalid", "resource": "invoke", "resourceType": "lambda"}
    assert found[-2]["details"]["name"] == "Lost"
    assert found[-1]["details"] == {"error": "Lost", "cause": "It failed."}


def test_an_error_that_is_caught_stands_between_others(emulator: Emulator, function: str, group: str) -> None:
    machine = emulator.machine(states(function), loggingConfiguration=configuration(emulator, group))
    emulator.run(machine, text(fails=True, forgive=True))
    found = lines(emulator, group, "ExecutionSucceeded")
    assert types(found) == CAUGHT
    assert json.loads(found[4]["details"]["output"])["failure"]["Error"] == "Invalid"


def test_nothing_follows_the_abort_of_an_execution(emulator: Emulator, group: str) -> None:
    wait = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 100, "End": True}}}
    machine = emulator.machine(wait, loggingConfiguration=configuration(emulator, group))
    client = emulator.client("stepfunctions")
    execution = client.start_execution(stateMachineArn=machine)["executionArn"]
    lines(emulator, group, "WaitStateEntered")
    client.stop_execution(executionArn=execution, error="Stopped", cause="Enough.")

    def history() -> list[str]:
        return [event["type"] for event in client.get_execution_history(executionArn=execution)["events"]]

    assert eventually(lambda: history()[-1] == "WaitStateExited")
    found = lines(emulator, group, "ExecutionAborted")
    assert types(found) == ["ExecutionStarted", "WaitStateEntered", "ExecutionAborted"]
    assert found[-1]["details"] == {"error": "Stopped", "cause": "Enough."}


def test_an_execution_that_runs_too_long_is_logged_as_such(emulator: Emulator, group: str) -> None:
    states = {"W": {"Type": "Wait", "Seconds": 1000, "End": True}}
    definition = {"StartAt": "W", "States": states, "TimeoutSeconds": 1}
    emulator.run(emulator.machine(definition, loggingConfiguration=configuration(emulator, group)))
    found = lines(emulator, group, "ExecutionTimedOut")
    assert types(found) == ["ExecutionStarted", "WaitStateEntered", "ExecutionTimedOut"]
    assert found[-1]["details"]["error"] == "States.Timeout"


@pytest.mark.parametrize(
    ("level", "logged"),
    [("ERROR", ["TaskFailed", "FailStateEntered", "ExecutionFailed"]), ("FATAL", ["ExecutionFailed"])],
)
def test_a_lower_level_logs_failures_only(
    emulator: Emulator, function: str, group: str, level: str, logged: list[str]
) -> None:
    machine = emulator.machine(states(function), loggingConfiguration=configuration(emulator, group, level))
    emulator.run(machine, text(fails=False, forgive=True))
    emulator.run(machine, text(fails=True, forgive=False))
    assert types(lines(emulator, group, "ExecutionFailed")) == logged


def test_the_level_off_logs_nothing(emulator: Emulator, function: str, group: str) -> None:
    off = emulator.machine(states(function), loggingConfiguration=configuration(emulator, group, "OFF"))
    emulator.run(off, text(fails=True, forgive=False))
    on = emulator.machine(states(function), loggingConfiguration=configuration(emulator, group))
    ended = emulator.run(on, text(fails=True, forgive=False))
    found = lines(emulator, group, "ExecutionFailed")
    assert {line["execution_arn"] for line in found} == {ended["executionArn"]}


def test_without_execution_data_only_names_and_errors_are_logged(
    emulator: Emulator, function: str, group: str
) -> None:
    without = configuration(emulator, group, data=False)
    emulator.run(
        emulator.machine(states(function), loggingConfiguration=without), text(fails=True, forgive=True)
    )
    found = lines(emulator, group, "ExecutionSucceeded")
    assert types(found) == CAUGHT
    fields = {field for line in found for field in line["details"]}
    assert fields == {"roleArn", "name", "resource", "resourceType", "error", "cause"}


def test_a_log_group_that_is_missing_fails_no_execution_and_is_reported(
    emulator: Emulator, function: str
) -> None:
    missing = unique("missing")
    machine = emulator.machine(states(function), loggingConfiguration=configuration(emulator, missing))
    ended = emulator.run(machine, text(fails=False, forgive=True))
    assert ended["status"] == "SUCCEEDED"
    reason = f"The specified log group does not exist: {missing}"
    assert eventually(lambda: emulator.output.read_text().count(reason) == len(SUCCEEDED))
    assert f"ExecutionSucceeded of {ended['executionArn']} is not in the execution's log" in (
        emulator.output.read_text()
    )


def test_a_machine_that_cloudformation_made_is_logged(emulator: Emulator, group: str) -> None:
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
    found = lines(emulator, group, "ExecutionSucceeded")
    assert types(found)[1:-1] == ["SucceedStateEntered", "SucceedStateExited"]
    assert json.loads(found[-1]["details"]["output"]) == {"a": 1}


@pytest.mark.parametrize("character", ["x", '"', "é", "😀", "\n", "\0", "\ud83d"])
def test_a_payload_is_cut_when_it_is_too_long_in_the_line(character: str) -> None:
    fits = character * (MAX_PAYLOAD // _size(character))
    assert _cut(fits) == fits
    assert _cut(fits + character * 3) == fits
