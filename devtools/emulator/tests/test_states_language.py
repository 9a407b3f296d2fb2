"""Retry, Catch, timeouts and paths of state machines. Waits are scaled by 0.01."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from devtools.emulator.states_language import _retry_delay
from devtools.emulator.tests.harness import REGION, Emulator

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
    return f"arn:aws:lambda:{REGION}:000000000000:function:{emulator.create_function(FLAKY)}"


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


def test_a_task_is_retried_if_the_name_of_its_exception_matches(emulator: Emulator, flaky: str) -> None:
    retry = {"ErrorEquals": ["Throttled"], "MaxAttempts": 3, "IntervalSeconds": 1}
    task = emulator.create_state_machine(machine({"Resource": flaky, "Retry": [retry]}))
    ended = emulator.run(task, '{"id": "named", "failures": 2, "error": "Throttled"}')
    assert (ended["status"], json.loads(ended["output"])) == ("SUCCEEDED", {"calls": 3})


def test_another_exception_is_not_retried_but_caught_by_its_name(emulator: Emulator, flaky: str) -> None:
    retry = {"ErrorEquals": ["Throttled"], "MaxAttempts": 3}
    catch = [{"ErrorEquals": ["Invalid"], "Next": "Caught"}]
    task = emulator.create_state_machine(machine({"Resource": flaky, "Retry": [retry], "Catch": catch}))
    ended = emulator.run(task, '{"id": "caught", "failures": 9, "error": "Invalid"}')
    failure = json.loads(ended["output"])
    assert (ended["status"], failure["Error"]) == ("SUCCEEDED", "Invalid")
    cause = json.loads(failure["Cause"])
    assert cause.keys() == {"errorMessage", "errorType", "requestId", "stackTrace"}
    assert cause["errorMessage"] == "call 1"


def test_a_retry_waits_for_at_most_its_maximum_delay(emulator: Emulator, flaky: str) -> None:
    retry = {"ErrorEquals": ["Throttled"], "IntervalSeconds": 50, "MaxDelaySeconds": 1}
    task = emulator.create_state_machine(machine({"Resource": flaky, "Retry": [retry]}))
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


def test_full_jitter_is_a_random_part_of_the_delay() -> None:
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
def test_an_execution_that_runs_too_long_times_out(emulator: Emulator, definition: dict[str, Any]) -> None:
    ended = emulator.run(emulator.create_state_machine(machine(definition, TimeoutSeconds=1)))
    assert (ended["status"], ended["error"]) == ("TIMED_OUT", "States.Timeout")
    assert events(emulator, ended, "ExecutionTimedOut")
    assert 1 <= (ended["stopDate"] - ended["startDate"]).total_seconds() < 5


def test_retry_and_catch_do_not_handle_the_timeout_of_the_state_machine(
    emulator: Emulator, flaky: str
) -> None:
    retry = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 60, "BackoffRate": 1, "MaxAttempts": 9}
    task = machine({"Resource": flaky, "Retry": [retry], "Catch": CATCH_ALL}, TimeoutSeconds=1)
    ended = emulator.run(
        emulator.create_state_machine(task), '{"id": "timed", "failures": 99, "error": "Throttled"}'
    )
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
def test_a_path_that_matches_nothing_makes_the_execution_fail(
    emulator: Emulator, flaky: str, field: str, path: dict[str, Any]
) -> None:
    task = machine({"Resource": flaky, field: path, "Catch": CATCH_ALL})
    ended = emulator.run(
        emulator.create_state_machine(task), '{"present": {}, "id": "p", "failures": 0, "error": "Invalid"}'
    )
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")
    assert "could not be found in the input" in ended["cause"]


def test_a_path_to_null_is_not_an_error(emulator: Emulator) -> None:
    states = {
        "P": {"Type": "Pass", "Parameters": {"a.$": "$.a", "in.$": "$$.Execution.Input.a"}, "End": True}
    }
    ended = emulator.run(emulator.create_state_machine({"StartAt": "P", "States": states}), '{"a": null}')
    assert json.loads(ended["output"]) == {"a": None, "in": None}


def run_pass(emulator: Emulator, text: str = "{}", **fields: Any) -> dict[str, Any]:
    """Run a Pass state with these fields; returns the ended execution."""
    states = {"P": {"Type": "Pass", "End": True, **fields}}
    return emulator.run(emulator.create_state_machine({"StartAt": "P", "States": states}), text)


@pytest.mark.parametrize("field", ["InputPath", "OutputPath"])
@pytest.mark.parametrize("path", ["$.missing", "$$.Execution.Missing"])
def test_an_input_or_output_path_that_matches_nothing_makes_the_execution_fail(
    emulator: Emulator, field: str, path: str
) -> None:
    ended = run_pass(emulator, **{field: path})
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")


def test_a_succeed_state_returns_what_its_output_path_selects(emulator: Emulator) -> None:
    machine = {"StartAt": "S", "States": {"S": {"Type": "Succeed", "OutputPath": "$.ticket"}}}
    ended = emulator.run(emulator.create_state_machine(machine), '{"ticket": {"id": 7}, "rest": 1}')
    assert json.loads(ended["output"]) == {"id": 7}


def test_a_random_number_may_be_the_start_but_not_the_end(emulator: Emulator) -> None:
    numbers = {f"n{number}.$": "States.MathRandom(3, $.end)" for number in range(100)}
    ended = run_pass(emulator, '{"end": 5}', Parameters=numbers)
    assert set(json.loads(ended["output"]).values()) == {3, 4}


def test_the_entered_time_of_a_state_is_the_same_for_all_retries(
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
    emulator.run(
        emulator.create_state_machine(machine({"Resource": flaky, "Parameters": parameters, "Retry": retry}))
    )
    calls = [json.loads((tmp_path / str(number)).read_text()) for number in (1, 2, 3)]
    assert [call["retries"] for call in calls] == [0, 1, 2]
    assert len({call["entered"] for call in calls}) == 1


def run_choice(emulator: Emulator, rule: dict[str, Any], text: str = "{}") -> dict[str, Any]:
    """Run a Choice state with this rule; its output is "yes" or "no"."""
    results = {name: {"Type": "Pass", "Result": name, "End": True} for name in ("yes", "no")}
    choice = {"Type": "Choice", "Choices": [{**rule, "Next": "yes"}], "Default": "no"}
    return emulator.run(
        emulator.create_state_machine({"StartAt": "C", "States": {"C": choice, **results}}), text
    )


PRESENT = {"Variable": "$.a", "IsPresent": True}


@pytest.mark.parametrize(
    ("rule", "text", "output"),
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
def test_a_choice_can_use_its_input_and_the_context_object(
    emulator: Emulator, rule: dict[str, Any], text: str, output: str
) -> None:
    ended = run_choice(emulator, rule, text)
    assert (ended["status"], ended["output"]) == ("SUCCEEDED", json.dumps(output))


@pytest.mark.parametrize("path", ["$.a", "$$.Execution.Input.a"])
def test_a_choice_that_compares_a_missing_value_makes_the_execution_fail(
    emulator: Emulator, path: str
) -> None:
    ended = run_choice(emulator, {"Variable": path, "NumericEquals": 1})
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")


def test_a_throttled_invocation_has_its_own_error(emulator: Emulator) -> None:
    name = emulator.create_function("def handler(event, context):\n    return 1")
    emulator.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    arn = f"arn:aws:lambda:{REGION}:000000000000:function:{name}"
    caught = [{"ErrorEquals": ["Lambda.TooManyRequestsException"], "Next": "Caught"}]

    ended = emulator.run(emulator.create_state_machine(machine({"Resource": arn, "Catch": caught})))

    assert ended["status"] == "SUCCEEDED"
    assert json.loads(ended["output"])["Error"] == "Lambda.TooManyRequestsException"
