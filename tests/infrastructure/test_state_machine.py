"""The state machine has a valid graph, handles every error, and leaves time for the failure branch."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.domain import errors
from support.domain.ticket import HIGH_PRIORITY

type State = dict[str, Any]

EXPRESS_LIMIT_SECONDS = 300
FALLBACK = "Ask Fallback Model"
TASK_KEY_ORDER = [
    "Type",
    "Comment",
    "Resource",
    "Parameters",
    "TimeoutSeconds",
    "Retry",
    "Catch",
    "ResultSelector",
    "ResultPath",
    "Next",
    "End",
]


def tasks(definition: State) -> dict[str, State]:
    return {name: state for name, state in definition["States"].items() if state["Type"] == "Task"}


def functions(definition: State) -> dict[str, State]:
    return {
        name: task for name, task in tasks(definition).items() if task["Resource"].endswith("lambda:invoke")
    }


def targets(state: State) -> list[str]:
    catches = [catcher["Next"] for catcher in state.get("Catch", [])]
    choices = [choice["Next"] for choice in state.get("Choices", [])]
    onward = [state[key] for key in ("Next", "Default") if key in state]
    return onward + choices + catches


def leaves(parent: type[Exception]) -> set[str]:
    below = parent.__subclasses__()
    return {parent.__name__} if not below else set().union(*map(leaves, below))


def test_every_target_exists_and_every_state_is_reachable(definition: State) -> None:
    states = definition["States"]
    reached, frontier = set(), [definition["StartAt"]]
    while frontier:
        name = frontier.pop()
        assert name in states, f"{name} is no state"
        if name not in reached:
            reached.add(name)
            frontier += targets(states[name])
    assert reached == set(states)


def test_the_states_are_in_the_order_of_the_workflow(definition: State) -> None:
    assert list(definition["States"]) == [
        "Store Ticket",
        "Already Processed?",
        "Classify Ticket",
        "Has Fallback Model?",
        "Ask Fallback Model",
        "Update Ticket",
        "Notify Support",
        "Duplicate Ignored",
        "Record Deferral",
        "Has Priority?",
        "Defer Priority Ticket",
        "Defer Ticket",
        "Ticket Deferred",
        "Record Failure",
        "Publish Failure",
        "Queue Failure",
        "Ticket Failed",
    ]


def test_the_keys_of_every_task_are_in_the_agreed_order(definition: State) -> None:
    for name, task in tasks(definition).items():
        assert list(task) == [key for key in TASK_KEY_ORDER if key in task], name


def test_every_task_has_a_timeout_a_retry_a_last_catch_and_a_comment(definition: State) -> None:
    for name, task in tasks(definition).items():
        assert task["TimeoutSeconds"] < definition["TimeoutSeconds"], name
        assert task["Comment"], name
        assert task["Retry"], name
        assert task["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name


def test_states_all_is_only_in_the_last_catch(definition: State) -> None:
    for task in tasks(definition).values():
        early = task["Retry"] + task["Catch"][:-1]
        assert not [rule for rule in early if "States.ALL" in rule["ErrorEquals"]]


def named(task: State) -> set[str]:
    rules = task["Retry"] + task["Catch"]
    return {error for rule in rules for error in rule["ErrorEquals"] if "." not in error}


def test_every_error_in_the_definition_exists_and_every_transient_one_is_named(definition: State) -> None:
    """Permanent errors need not be named, because States.ALL catches them."""
    of_background = {"StartUnavailable", "QueueUnavailable"}
    of_tasks = set().union(*map(named, functions(definition).values()))
    assert of_tasks <= leaves(errors.PipelineError)
    assert of_tasks - leaves(errors.PermanentError) | of_background == leaves(errors.TransientError)


@pytest.mark.parametrize("task", ["store", "classify", "update", "notify"])
def test_each_state_names_the_transient_errors_that_its_task_documents(definition: State, task: str) -> None:
    handler = importlib.import_module(f"support.tasks.{task}").handler
    (raises,) = re.findall(r"Raises: ([\w,\s]+)\.", handler.__doc__)
    (state,) = [s for n, s in functions(definition).items() if n.split()[0].lower() == task]
    raised = set(re.findall(r"\w+", raises))
    assert named(state) <= raised <= leaves(errors.PipelineError)
    assert named(state) - leaves(errors.PermanentError) == raised & leaves(errors.TransientError)


def test_permanent_errors_are_never_retried(definition: State) -> None:
    retried = {
        error
        for task in tasks(definition).values()
        for rule in task["Retry"]
        for error in rule["ErrorEquals"]
    }
    assert not retried & leaves(errors.PermanentError)


def test_every_function_is_retried_when_lambda_itself_fails(definition: State) -> None:
    for name, task in functions(definition).items():
        if name == FALLBACK:
            continue
        service, died = task["Retry"][0], task["Retry"][1]
        assert "Lambda.TooManyRequestsException" in service["ErrorEquals"], name
        assert (service["MaxAttempts"], service["JitterStrategy"]) == (3, "FULL"), name
        assert {"Lambda.Unknown", "Sandbox.Timedout", "States.Timeout"} <= set(died["ErrorEquals"]), name
        assert died["MaxAttempts"] == 2, name


def test_the_timeout_of_the_state_machine_is_shorter_than_that_of_express(definition: State) -> None:
    assert definition["TimeoutSeconds"] == 240 < EXPRESS_LIMIT_SECONDS


def test_the_worst_case_of_all_states_on_one_path_leaves_time_for_the_failure_branch(
    definition: State,
) -> None:
    """In the worst case, every state of the longest path fails with its slowest error up to the last attempt.

    Each attempt takes the task's whole timeout, and each wait its full length. Different errors in one state
    may take longer: if the execution then times out, the sweep restarts the ticket.
    """
    worst = worst_path_seconds(definition, definition["StartAt"])
    assert worst < definition["TimeoutSeconds"], f"{worst} s"


def worst_path_seconds(definition: State, name: str) -> float:
    """The time from a state to the end. No path has a cycle."""
    state = definition["States"][name]
    onward = [worst_path_seconds(definition, target) for target in targets(state)]
    return (worst_seconds(state) if state["Type"] == "Task" else 0) + max(onward, default=0)


def worst_seconds(task: State) -> float:
    timeout: int = task["TimeoutSeconds"]
    worst: float = max(timeout * (retry["MaxAttempts"] + 1) + sum(waits(retry)) for retry in task["Retry"])
    return worst


def waits(retry: State) -> list[float]:
    delays = [
        retry["IntervalSeconds"] * retry["BackoffRate"] ** attempt for attempt in range(retry["MaxAttempts"])
    ]
    return [min(delay, retry.get("MaxDelaySeconds", delay)) for delay in delays]


PASSING = {name for name in leaves(errors.TransientError) if name != "ModelOutputInvalid"}


def test_temporary_errors_defer_a_ticket_and_permanent_errors_fail_it(definition: State) -> None:
    for name, task in functions(definition).items():
        if name in {"Record Deferral", "Record Failure", FALLBACK}:
            continue
        *_, last, other = task["Catch"]
        deferred = {
            error
            for catch in task["Catch"]
            if catch["Next"] in {"Record Deferral", "Has Fallback Model?"}
            for error in catch["ErrorEquals"]
        }
        retried = {error for rule in task["Retry"] for error in rule["ErrorEquals"]}
        assert (last["Next"], other["Next"]) == ("Record Deferral", "Record Failure"), name
        # Every retried error is temporary, except repeated invalid answers of the model.
        assert deferred == retried - {"ModelOutputInvalid"}, name
        assert {error for error in deferred if "." not in error} <= PASSING, name


def test_the_second_model_is_called_on_temporary_errors_of_the_first_and_fails_no_ticket(
    definition: State,
) -> None:
    states = definition["States"]
    (to_fallback,) = [c for c in states["Classify Ticket"]["Catch"] if c["Next"] == "Has Fallback Model?"]
    first, second = states["Classify Ticket"]["Parameters"], states[FALLBACK]["Parameters"]
    (retry,), (catch,) = states[FALLBACK]["Retry"], states[FALLBACK]["Catch"]

    assert to_fallback["ErrorEquals"] == ["ModelThrottled", "ModelUnavailable"]
    assert second == {**first, "Payload": {**first["Payload"], "model": "fallback"}}
    assert retry["MaxAttempts"] == 1
    assert "ModelThrottled" not in retry["ErrorEquals"]
    # The ticket waits for the first model, whose error stays in $.failure.
    assert (catch["ErrorEquals"], catch["Next"]) == (["States.ALL"], "Record Deferral")
    assert catch["ResultPath"] != "$.failure"


def test_a_waiting_room_message_has_the_fields_of_a_failure_message(definition: State) -> None:
    deferred = definition["States"]["Defer Ticket"]["Parameters"]["MessageBody"]
    failed = definition["States"]["Queue Failure"]["Parameters"]["MessageBody"]
    assert {name.replace("deferredAt", "failedAt"): path for name, path in deferred.items()} == failed


def test_a_ticket_with_priority_is_deferred_to_the_priority_queue(definition: State) -> None:
    states = json.loads(json.dumps(definition["States"]))
    of_priority, of_others = states["Defer Priority Ticket"], states["Defer Ticket"]
    urls = [task["Parameters"].pop("QueueUrl") for task in (of_priority, of_others)]
    comments = [task.pop("Comment") for task in (of_priority, of_others)]

    assert of_priority == of_others
    assert urls == ["${PriorityWaitingRoomQueueUrl}", "${WaitingRoomQueueUrl}"]
    assert len({*comments}) == 2


def test_the_definition_and_the_code_choose_the_same_waiting_room_queue(definition: State) -> None:
    choice = definition["States"]["Has Priority?"]
    absent, high = choice["Choices"]
    path = "$$.Execution.Input.request.priority"

    assert absent == {"Variable": path, "IsPresent": False, "Next": "Defer Ticket"}
    assert high == {"Variable": path, "StringEquals": HIGH_PRIORITY, "Next": "Defer Priority Ticket"}
    assert choice["Default"] == "Defer Ticket"


def test_the_failure_message_is_the_same_on_the_topic_and_in_the_queue(definition: State) -> None:
    published = definition["States"]["Publish Failure"]["Parameters"]["Message"]
    queued = definition["States"]["Queue Failure"]["Parameters"]["MessageBody"]
    assert published == queued
    assert published["input.$"] == "$$.Execution.Input"


def test_the_failure_branch_reads_only_fields_that_every_input_has(definition: State) -> None:
    for name in (
        "Record Deferral",
        "Defer Priority Ticket",
        "Defer Ticket",
        "Record Failure",
        "Publish Failure",
        "Queue Failure",
    ):
        text = json.dumps(definition["States"][name]["Parameters"])
        assert "$$.Execution.Input." not in text, name
        assert "$.ticket" not in text, name


def test_cfn_lint_accepts_the_definition(definition: State, tmp_path: Path) -> None:
    """cfn-lint does not read definition files, so the test puts the definition into a template."""
    template = {
        "Resources": {
            "TicketPipeline": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {
                    "RoleArn": "arn:aws:iam::123456789012:role/pipeline",
                    "StateMachineType": "EXPRESS",
                    "Definition": json.loads(json.dumps(definition).replace("${Partition}", "aws")),
                },
            }
        }
    }
    path = tmp_path / "template.yaml"
    path.write_text(yaml.safe_dump(template, sort_keys=False))
    lint = Path(sys.executable).parent / "cfn-lint"
    done = subprocess.run(
        [lint, "--regions", "us-east-1", "--", path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
