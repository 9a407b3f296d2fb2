"""The paths of the state machine, run with a mock file of AWS Step Functions Local, without the functions.

Each test case of mock_config.json has the response of every task for each attempt; SCENARIOS has the path of
the execution. tests/statemachine runs the same scenarios with the real functions.
"""

import json
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
import yaml
from botocore.exceptions import BotoCoreError

from local.processes import wait_for

PROJECT = Path(__file__).parents[2]


def definition_with_arns(fallback_model: str) -> dict[str, Any]:
    """The state machine's definition, with invented ARNs, because every task is mocked."""
    text = (PROJECT / "statemachine" / "ticket_pipeline.asl.yaml").read_text()
    text = text.replace("${Partition}", "aws")
    text = re.sub(r"\$\{(\w+)FunctionArn}", r"arn:aws:lambda:us-east-1:123456789012:function:\1", text)
    text = text.replace("${FailureTopicArn}", "arn:aws:sns:us-east-1:123456789012:failures")
    for queue in ("FailedTickets", "WaitingRoom", "PriorityWaitingRoom"):
        url = f"https://sqs.us-east-1.amazonaws.com/123456789012/{queue}"
        text = text.replace(f"${{{queue}QueueUrl}}", url)
    text = text.replace("${FallbackModelId}", fallback_model)
    return dict(yaml.safe_load(text))


DEFINITIONS = {
    "TicketPipeline": definition_with_arns("none"),
    "TicketPipelineWithFallback": definition_with_arns("amazon.nova-micro-v1:0"),
}
STATES = DEFINITIONS["TicketPipeline"]["States"]
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
EXECUTIONS = PROJECT / "events" / "executions"
MOCK_CONFIG = json.loads(Path(__file__).with_name("mock_config.json").read_text())
MACHINE_OF = {
    case: name for name, machine in MOCK_CONFIG["StateMachines"].items() for case in machine["TestCases"]
}
CASES: dict[str, dict[str, str]] = {
    case: machine["TestCases"][case]
    for machine in MOCK_CONFIG["StateMachines"].values()
    for case in machine["TestCases"]
}
RESPONSES: dict[str, dict[str, Any]] = MOCK_CONFIG["MockedResponses"]

START_SECONDS = 60
# The longest scenario retries for up to 50 s if the endpoint does not scale waits.
RUN_SECONDS = 90
ENDS = {"ExecutionSucceeded": "SUCCEEDED", "ExecutionFailed": "FAILED", "ExecutionTimedOut": "TIMED_OUT"}


class Scenario(NamedTuple):
    """How an execution ends, and the states that it enters."""

    status: str
    error: str | None
    states: list[str]


def succeeds(*states: str) -> Scenario:
    return Scenario("SUCCEEDED", None, list(states))


def fails(*states: str) -> Scenario:
    return Scenario("FAILED", "TicketFailed", [*states, "Ticket Failed"])


STORED = ("Store Ticket", "Already Processed?")
CLASSIFIED = (*STORED, "Classify Ticket")
THROTTLED = (*CLASSIFIED, "Has Fallback Model?")
FALLBACK = (*THROTTLED, "Ask Fallback Model")
UPDATED = (*CLASSIFIED, "Update Ticket")
NOTIFIED = (*UPDATED, "Notify Support")
DEFERRAL = ("Record Deferral", "Has Priority?", "Defer Ticket")
PRIORITY_DEFERRAL = ("Record Deferral", "Has Priority?", "Defer Priority Ticket")
FAILURE = ("Record Failure", "Publish Failure")

SCENARIOS = {
    "HappyPath": succeeds(*NOTIFIED),
    "AlreadyProcessed": succeeds(*STORED, "Notify Support"),
    "RepeatedExecution": succeeds(*STORED, "Duplicate Ignored"),
    "EveryTaskRecovers": succeeds(*NOTIFIED),
    # There is no ticket whose failure could be recorded.
    "StoreFindsNoSubmission": fails("Store Ticket", "Publish Failure"),
    "StoreRejected": fails("Store Ticket", *FAILURE),
    "StoreUnavailable": succeeds("Store Ticket", *DEFERRAL, "Ticket Deferred"),
    "StoreUnexpectedError": fails("Store Ticket", *FAILURE),
    "ClassifyRejected": fails(*CLASSIFIED, *FAILURE),
    "ClassifyRefused": fails(*CLASSIFIED, *FAILURE),
    "ClassifyThrottled": succeeds(*THROTTLED, *DEFERRAL, "Ticket Deferred"),
    "ClassifyCrashed": succeeds(*CLASSIFIED, *DEFERRAL, "Ticket Deferred"),
    "ClassifyUnexpectedError": fails(*CLASSIFIED, *FAILURE),
    "UpdateFindsNoTicket": fails(*UPDATED, *FAILURE),
    "UpdateUnavailable": succeeds(*UPDATED, *DEFERRAL, "Ticket Deferred"),
    "UpdateUnexpectedError": fails(*UPDATED, *FAILURE),
    "NotifyRejected": fails(*NOTIFIED, *FAILURE),
    "NotifyUnavailable": succeeds(*NOTIFIED, *DEFERRAL, "Ticket Deferred"),
    "NotifyUnexpectedError": fails(*NOTIFIED, *FAILURE),
    "DeferralRecovers": succeeds(*THROTTLED, *DEFERRAL, "Ticket Deferred"),
    "DeferralUnrecorded": succeeds(*THROTTLED, *DEFERRAL, "Ticket Deferred"),
    "DeferralRefused": fails(*THROTTLED, *DEFERRAL, *FAILURE),
    "PriorityDeferred": succeeds("Store Ticket", *PRIORITY_DEFERRAL, "Ticket Deferred"),
    "PriorityRefused": fails(*THROTTLED, *PRIORITY_DEFERRAL, *FAILURE),
    "FailureBranchRecovers": fails(*CLASSIFIED, *FAILURE),
    "FailureUnrecorded": fails(*CLASSIFIED, *FAILURE),
    "FailureUnpublished": fails(*CLASSIFIED, *FAILURE, "Queue Failure"),
    "FailureQueuedByRetry": fails(*CLASSIFIED, *FAILURE, "Queue Failure"),
    "FailureLost": fails(*CLASSIFIED, *FAILURE, "Queue Failure"),
    "FallbackNotCalled": succeeds(*NOTIFIED),
    "FallbackAnswers": succeeds(*FALLBACK, "Update Ticket", "Notify Support"),
    "FallbackRecovers": succeeds(*FALLBACK, "Update Ticket", "Notify Support"),
    "FallbackThrottled": succeeds(*FALLBACK, *DEFERRAL, "Ticket Deferred"),
    "FallbackRejected": succeeds(*FALLBACK, *DEFERRAL, "Ticket Deferred"),
}


@pytest.fixture(scope="module")
def stepfunctions(endpoint: str) -> Iterator[Any]:
    """A client of the endpoint, when it responds."""
    client = boto3.client(
        "stepfunctions",
        endpoint_url=endpoint,
        region_name="us-east-1",
        # The key with which the emulator was started. boto3's default session may have another one: moto's.
        aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    )

    def answers() -> bool:
        try:
            return "stateMachines" in client.list_state_machines()
        except BotoCoreError:
            return False

    assert wait_for(answers, START_SECONDS), f"{endpoint} does not respond"
    yield client
    client.close()


@pytest.fixture(scope="module")
def machines(stepfunctions: Any) -> Iterator[dict[str, str]]:
    """The ARNs of the state machine, with a second model and without, by the names in the mock file.

    The type is STANDARD, not EXPRESS as in the template, because DescribeExecution and GetExecutionHistory do
    not support EXPRESS executions. The type does not affect the path of an execution.
    """
    arns = {
        name: stepfunctions.create_state_machine(
            name=name,
            type="STANDARD",
            definition=json.dumps(definition),
            roleArn="arn:aws:iam::123456789012:role/pipeline",
        )["stateMachineArn"]
        for name, definition in DEFINITIONS.items()
    }
    yield arns
    for arn in arns.values():
        stepfunctions.delete_state_machine(stateMachineArn=arn)


@pytest.mark.parametrize("case", SCENARIOS)
def test_an_execution_takes_the_path_of_its_scenario(
    stepfunctions: Any, machines: dict[str, str], case: str
) -> None:
    event = "with-priority" if case.startswith("Priority") else "billing"
    execution = stepfunctions.start_execution(
        stateMachineArn=f"{machines[MACHINE_OF[case]]}#{case}",
        name=str(uuid.uuid4()),
        input=(EXECUTIONS / f"{event}.json").read_text(),
    )["executionArn"]
    history: list[dict[str, Any]] = []

    def ended() -> bool:
        page = stepfunctions.get_execution_history(executionArn=execution, maxResults=1000)
        history[:] = page["events"]
        return bool(history) and history[-1]["type"] in ENDS

    assert wait_for(ended, RUN_SECONDS), "the execution did not end in time"
    assert outcome(history) == SCENARIOS[case]
    assert failed_attempts(history) == mocked_errors(case), "each error has its own number of attempts"


def outcome(history: list[dict[str, Any]]) -> Scenario:
    return Scenario(
        status=ENDS[history[-1]["type"]],
        error=history[-1].get("executionFailedEventDetails", {}).get("error"),
        states=[e["stateEnteredEventDetails"]["name"] for e in history if "stateEnteredEventDetails" in e],
    )


def failed_attempts(history: list[dict[str, Any]]) -> list[str]:
    return [e["taskFailedEventDetails"]["error"] for e in history if e["type"] == "TaskFailed"]


def mocked_errors(case: str) -> list[str]:
    """The errors of all attempts of all states, in order."""
    responses = [CASES[case][state] for state in SCENARIOS[case].states if state in CASES[case]]
    return [error for response in responses for error in errors(response)]


def errors(response: str) -> list[str]:
    """The error of each attempt; "0-2" stands for three attempts."""
    found = []
    for attempts, answer in RESPONSES[response].items():
        first, _, last = attempts.partition("-")
        if "Throw" in answer:
            found += [answer["Throw"]["Error"]] * (int(last or first) - int(first) + 1)
    return found


def test_every_test_case_of_the_mock_file_is_a_scenario() -> None:
    assert list(CASES) == list(SCENARIOS)


@pytest.mark.parametrize("case", SCENARIOS)
def test_a_test_case_mocks_exactly_the_tasks_that_it_enters(case: str) -> None:
    """Step Functions Local would call a task that is not mocked."""
    assert list(CASES[case]) == [state for state in SCENARIOS[case].states if state in TASKS]


def test_every_response_exists_and_is_used() -> None:
    assert {response for case in CASES.values() for response in case.values()} == set(RESPONSES)


def test_every_task_succeeds_and_every_catch_is_taken_in_a_scenario() -> None:
    succeeded, taken = set(), set()
    for state, response in [mock for case in CASES.values() for mock in case.items()]:
        *_, last = RESPONSES[response].values()
        if "Throw" in last:
            taken.add((state, catcher_of(TASKS[state], last["Throw"]["Error"])))
        else:
            succeeded.add(state)
    assert succeeded == set(TASKS)
    assert taken == {(name, number) for name, task in TASKS.items() for number in range(len(task["Catch"]))}


def catcher_of(task: dict[str, Any], error: str) -> int:
    """The number of the first Catch that matches an error."""
    matches = [
        error in catch["ErrorEquals"] or catch["ErrorEquals"] == ["States.ALL"] for catch in task["Catch"]
    ]
    return matches.index(True)
