"""Retry, Catch, time-outs and paths of state machines. The waits are scaled by 0.01."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from devtools.emulator.step_functions import _retry_delay
from devtools.emulator.tests.harness import REGION, ROLE, Emulator, unique

FLAKY = """
import json, pathlib

class Throttled(Exception): pass
class Invalid(Exception): pass
calls = {}

def handler(event, context):
    calls[event["id"]] = calls.get(event["id"], 0) + 1
    if "folder" in event:
        (pathlib.Path(event["folder"]) / str(calls[event["id"]])).write_text(json.dumps(event))
    if calls[event["id"]] <= event["failures"]:
        raise globals()[event["error"]]("call %s" % calls[event["id"]])
    return {"calls": calls[event["id"]]}
"""


@pytest.fixture(scope="module")
def flaky(emulator: Emulator) -> str:
    return f"arn:aws:lambda:{REGION}:000000000000:function:{emulator.function(FLAKY)}"


def machine(task: dict[str, Any], **settings: Any) -> dict[str, Any]:
    end = {"Type": "Pass", "End": True}
    return {
        "StartAt": "Task",
        "States": {"Task": {"Type": "Task", "Next": "Done", **task}, "Done": end, "Caught": end},
        **settings,
    }


CATCH_ALL = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]


def events(emulator: Emulator, execution: dict[str, Any], kind: str) -> list[Any]:
    history = emulator.client("stepfunctions").get_execution_history(executionArn=execution["executionArn"])
    return [event["timestamp"] for event in history["events"] if event["type"] == kind]


def test_a_task_is_retried_by_the_name_of_its_exception(emulator: Emulator, flaky: str) -> None:
    retry = {"ErrorEquals": ["Throttled"], "MaxAttempts": 3, "IntervalSeconds": 1}
    task = emulator.machine(machine({"Resource": flaky, "Retry": [retry]}))
    ended = emulator.run(task, '{"id": "named", "failures": 2, "error": "Throttled"}')
    assert (ended["status"], json.loads(ended["output"])) == ("SUCCEEDED", {"calls": 3})


def test_another_exception_is_caught_by_its_name_and_not_retried(emulator: Emulator, flaky: str) -> None:
    retry = {"ErrorEquals": ["Throttled"], "MaxAttempts": 3}
    catch = [{"ErrorEquals": ["Invalid"], "Next": "Caught"}]
    task = emulator.machine(machine({"Resource": flaky, "Retry": [retry], "Catch": catch}))
    ended = emulator.run(task, '{"id": "caught", "failures": 9, "error": "Invalid"}')
    failure = json.loads(ended["output"])
    assert (ended["status"], failure["Error"]) == ("SUCCEEDED", "Invalid")
    cause = json.loads(failure["Cause"])
    assert cause.keys() == {"errorMessage", "errorType", "requestId", "stackTrace"}
    assert cause["errorMessage"] == "call 1"


def test_a_retry_waits_at_most_its_maximum_delay(emulator: Emulator, flaky: str) -> None:
    retry = {"ErrorEquals": ["Throttled"], "IntervalSeconds": 50, "MaxDelaySeconds": 1}
    task = emulator.machine(machine({"Resource": flaky, "Retry": [retry]}))
    ended = emulator.run(task, '{"id": "delayed", "failures": 3, "error": "Throttled"}')
    attempts = events(emulator, ended, "TaskScheduled")
    assert len(attempts) == 4
    assert all((later - earlier).total_seconds() < 0.5 for earlier, later in pairwise(attempts))


@pytest.mark.parametrize(
    ("retrier", "delays"),
    [
        ({}, [1, 2, 4, 8]),
        ({"IntervalSeconds": 2, "BackoffRate": 1.5}, [2, 3, 4.5, 6.75]),
        ({"IntervalSeconds": 2, "MaxDelaySeconds": 5}, [2, 4, 5, 5]),
    ],
)
def test_the_delay_grows_up_to_the_maximum(retrier: dict[str, Any], delays: list[float]) -> None:
    assert [_retry_delay(retrier, count) for count in range(4)] == delays


def test_a_jittered_delay_is_a_random_part_of_the_delay() -> None:
    retrier = {"IntervalSeconds": 2, "MaxDelaySeconds": 5, "JitterStrategy": "FULL"}
    delays = {_retry_delay(retrier, 9) for _ in range(100)}
    assert len(delays) > 1
    assert all(0 <= delay <= 5 for delay in delays)


@pytest.mark.parametrize(
    "definition",
    [
        {"Type": "Wait", "Seconds": 1000, "Next": "Done"},
        {
            "Type": "Parallel",
            "Branches": [{"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 1000, "End": True}}}],
            "Catch": CATCH_ALL,
            "Next": "Done",
        },
    ],
    ids=["wait", "parallel"],
)
def test_a_machine_that_runs_too_long_is_timed_out(emulator: Emulator, definition: dict[str, Any]) -> None:
    ended = emulator.run(emulator.machine(machine(definition, TimeoutSeconds=1)))
    assert (ended["status"], ended["error"]) == ("TIMED_OUT", "States.Timeout")
    assert events(emulator, ended, "ExecutionTimedOut")
    assert 1 <= (ended["stopDate"] - ended["startDate"]).total_seconds() < 5


def test_no_catch_and_no_retry_sees_the_time_out_of_the_machine(emulator: Emulator, flaky: str) -> None:
    retry = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 60, "BackoffRate": 1, "MaxAttempts": 9}
    task = machine({"Resource": flaky, "Retry": [retry], "Catch": CATCH_ALL}, TimeoutSeconds=1)
    ended = emulator.run(emulator.machine(task), '{"id": "timed", "failures": 99, "error": "Throttled"}')
    assert ended["status"] == "TIMED_OUT"


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("Parameters", {"a": {"b.$": "$.present.missing"}}),
        ("Parameters", {"b.$": "$$.Execution.Missing"}),
        ("Parameters", {"b.$": "States.Format('{}', $.missing)"}),
        ("ResultSelector", {"b.$": "$.missing"}),
    ],
)
def test_a_path_that_points_nowhere_fails_the_execution(
    emulator: Emulator, flaky: str, field: str, path: dict[str, Any]
) -> None:
    task = machine({"Resource": flaky, field: path, "Catch": CATCH_ALL})
    ended = emulator.run(
        emulator.machine(task), '{"present": {}, "id": "p", "failures": 0, "error": "Invalid"}'
    )
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")
    assert "could not be found in the input" in ended["cause"]


def test_a_path_to_null_is_no_error(emulator: Emulator) -> None:
    states = {
        "P": {"Type": "Pass", "Parameters": {"a.$": "$.a", "in.$": "$$.Execution.Input.a"}, "End": True}
    }
    ended = emulator.run(emulator.machine({"StartAt": "P", "States": states}), '{"a": null}')
    assert json.loads(ended["output"]) == {"a": None, "in": None}


def passes(emulator: Emulator, text: str = "{}", **fields: Any) -> dict[str, Any]:
    """Run a Pass state with these fields; returns the ended execution."""
    states = {"P": {"Type": "Pass", "End": True, **fields}}
    return emulator.run(emulator.machine({"StartAt": "P", "States": states}), text)


@pytest.mark.parametrize("field", ["InputPath", "OutputPath"])
@pytest.mark.parametrize("path", ["$.missing", "$$.Execution.Missing"])
def test_an_input_or_output_path_that_points_nowhere_fails_the_execution(
    emulator: Emulator, field: str, path: str
) -> None:
    ended = passes(emulator, **{field: path})
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")


def test_a_succeed_state_ends_with_what_its_output_path_selects(emulator: Emulator) -> None:
    machine = {"StartAt": "S", "States": {"S": {"Type": "Succeed", "OutputPath": "$.ticket"}}}
    ended = emulator.run(emulator.machine(machine), '{"ticket": {"id": 7}, "rest": 1}')
    assert json.loads(ended["output"]) == {"id": 7}


def test_a_random_number_may_be_the_start_and_never_the_end(emulator: Emulator) -> None:
    drawn = {f"n{number}.$": "States.MathRandom(3, $.end)" for number in range(100)}
    ended = passes(emulator, '{"end": 5}', Parameters=drawn)
    assert set(json.loads(ended["output"]).values()) == {3, 4}


def test_a_state_keeps_the_time_when_it_was_entered_over_its_retries(
    emulator: Emulator, flaky: str, tmp_path: Path
) -> None:
    parameters = {
        "id": "entered",
        "failures": 2,
        "error": "Throttled",
        "folder": str(tmp_path),
        "entered.$": "$$.State.EnteredTime",
        "retries.$": "$$.State.RetryCount",
    }
    retry = [{"ErrorEquals": ["Throttled"], "MaxAttempts": 3, "IntervalSeconds": 1}]
    emulator.run(emulator.machine(machine({"Resource": flaky, "Parameters": parameters, "Retry": retry})))
    calls = [json.loads((tmp_path / str(number)).read_text()) for number in (1, 2, 3)]
    assert [call["retries"] for call in calls] == [0, 1, 2]
    assert len({call["entered"] for call in calls}) == 1


def chooses(emulator: Emulator, rule: dict[str, Any], text: str = "{}") -> dict[str, Any]:
    """Run a Choice; its execution ends with "yes" or "no"."""
    answers = {name: {"Type": "Pass", "Result": name, "End": True} for name in ("yes", "no")}
    choice = {"Type": "Choice", "Choices": [{**rule, "Next": "yes"}], "Default": "no"}
    return emulator.run(emulator.machine({"StartAt": "C", "States": {"C": choice, **answers}}), text)


PRESENT = {"Variable": "$.a", "IsPresent": True}


@pytest.mark.parametrize(
    ("rule", "text", "answer"),
    [
        (PRESENT, '{"a": 1}', "yes"),
        (PRESENT, '{"a": null}', "yes"),
        (PRESENT, '{"b": 1}', "no"),
        ({"Variable": "$.a", "IsPresent": False}, '{"b": 1}', "yes"),
        ({"Variable": "$.a[0].b", "IsPresent": True}, '{"a": []}', "no"),
        ({"And": [PRESENT, {"Variable": "$.a", "NumericGreaterThan": 1}]}, "{}", "no"),
        ({"Variable": "$$.Execution.Input.a", "IsPresent": True}, '{"a": 1}', "yes"),
        ({"Variable": "$$.Execution.Input.a", "IsPresent": True}, "{}", "no"),
        ({"Variable": "$$.Execution.Input.a", "NumericEquals": 1}, '{"a": 1}', "yes"),
        ({"Variable": "$$.State.Name", "StringEquals": "C"}, "{}", "yes"),
    ],
)
def test_a_choice_looks_into_its_input_and_the_context(
    emulator: Emulator, rule: dict[str, Any], text: str, answer: str
) -> None:
    ended = chooses(emulator, rule, text)
    assert (ended["status"], ended["output"]) == ("SUCCEEDED", json.dumps(answer))


@pytest.mark.parametrize("path", ["$.a", "$$.Execution.Input.a"])
def test_a_choice_that_compares_what_is_missing_fails_the_execution(emulator: Emulator, path: str) -> None:
    ended = chooses(emulator, {"Variable": path, "NumericEquals": 1})
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")


DEFINITION = """
# A comment, and a text over two lines
StartAt: Greet
States:
  Greet:
    Type: Pass
    Result: >-
      Good ${TimeOfDay},
      yes: no
    End: true
"""


def test_a_yaml_definition_from_s3_runs(emulator: Emulator) -> None:
    s3, bucket = emulator.client("s3"), unique("definitions")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=bucket, Key="greet.asl.yaml", Body=DEFINITION.encode())
    properties = {
        "StateMachineType": "EXPRESS",
        "DefinitionS3Location": {"Bucket": bucket, "Key": "greet.asl.yaml"},
        "DefinitionSubstitutions": {"TimeOfDay": "morning"},
        "RoleArn": ROLE,
    }
    resources = {"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}}
    ended = emulator.run(emulator.deploy(unique("yaml"), resources)["Machine"])
    assert (ended["status"], json.loads(ended["output"])) == ("SUCCEEDED", "Good morning, yes: no")


def test_a_throttled_invocation_is_an_error_of_its_own(emulator: Emulator) -> None:
    name = emulator.function("def handler(event, context):\n    return 1")
    emulator.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    arn = f"arn:aws:lambda:{REGION}:000000000000:function:{name}"
    caught = [{"ErrorEquals": ["Lambda.TooManyRequestsException"], "Next": "Caught"}]

    ended = emulator.run(emulator.machine(machine({"Resource": arn, "Catch": caught})))

    assert ended["status"] == "SUCCEEDED"
    assert json.loads(ended["output"])["Error"] == "Lambda.TooManyRequestsException"


NAMES_THAT_ARE_REFUSED = [
    "",
    "x" * 81,
    *(f"a{c}b" for c in ' \t\n<>{}[]?*"#%\\^|~`$&,;:/'),
    *map(chr, (0, 31, 127, 159)),
    7,
]


@pytest.mark.parametrize("name", NAMES_THAT_ARE_REFUSED)
@pytest.mark.parametrize("action", ["StartExecution", "StartSyncExecution"])
def test_a_name_that_aws_refuses_is_refused(emulator: Emulator, action: str, name: Any) -> None:
    answer = emulator.ask("states", f"AWSStepFunctions.{action}", {"stateMachineArn": "arn:x", "name": name})
    assert (answer.status_code, answer.json()["__type"]) == (400, "InvalidName")


@pytest.mark.parametrize("name", ["x" * 80, "A-z_0.9+=@!()'", "é😀"])
def test_a_name_that_aws_takes_is_taken(emulator: Emulator, name: str) -> None:
    machine = emulator.machine({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    answer = emulator.client("stepfunctions").start_execution(stateMachineArn=machine, name=name)
    assert answer["executionArn"].split(":")[-2] == name


def test_standard_executions_may_not_share_a_name(emulator: Emulator) -> None:
    client = emulator.client("stepfunctions")
    definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    machine = client.create_state_machine(name=unique("standard"), definition=definition, roleArn=ROLE)
    arn = machine["stateMachineArn"]
    client.start_execution(stateMachineArn=arn, name="shared")
    with pytest.raises(client.exceptions.ExecutionAlreadyExists):
        client.start_execution(stateMachineArn=arn, name="shared")
