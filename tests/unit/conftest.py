"""What several of the unit tests look at: the waiting room, and Step Functions as its consumer sees it."""

import json
import os
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from support.aws import clients

EXECUTION_ARN = "arn:aws:states:us-east-1:123456789012:express:ticket-pipeline:resumed:1"


@pytest.fixture
def admitted(aws: None) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The messages that were put into the waiting room since the test began, of tickets without priority."""
    yield from _sent_to(os.environ["WAITING_ROOM_URL"])


@pytest.fixture
def admitted_with_priority(aws: None) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Those of tickets with priority."""
    yield from _sent_to(os.environ["PRIORITY_WAITING_ROOM_URL"])


def _sent_to(url: str) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    # Noted when they are sent: moto keeps a message with a delay back for as long.
    boto3.client("sqs").create_queue(QueueName=url.rpartition("/")[2])
    messages: list[dict[str, Any]] = []

    def note(params: dict[str, Any], **_: object) -> None:
        if params["QueueUrl"] == url:
            assert 0 <= params["DelaySeconds"] <= 20
            messages.append(json.loads(params["MessageBody"]))

    events = clients.sqs().meta.events
    events.register("provide-client-params.sqs.SendMessage", note)
    yield lambda: messages
    events.unregister("provide-client-params.sqs.SendMessage", note)


class StepFunctions:
    """What StartSyncExecution answers, and with what it was called: name → input."""

    def __init__(self) -> None:
        self.started: dict[str, Any] = {}
        self._answer: dict[str, Any] = {}
        self._status = 200
        self.succeeds()

    def succeeds(self, output: object = None) -> None:
        """Have executions end well."""
        self._ends({"status": "SUCCEEDED", "output": json.dumps(output or {})})

    def fails(self, error: str) -> None:
        """Have executions fail."""
        self._ends({"status": "FAILED", "error": error, "cause": "why"})

    def times_out(self) -> None:
        """Have executions run out of time."""
        self._ends({"status": "TIMED_OUT"})

    def refuses(self, status: int, code: str) -> None:
        """Have no execution started."""
        error = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
        self._status, self._answer = status, error

    def _ends(self, answer: dict[str, Any]) -> None:
        self._status, self._answer = 200, {"executionArn": EXECUTION_ARN, **answer}

    def __call__(self, params: dict[str, Any], **_: object) -> Any:
        """Answer one call in AWS's place."""
        call = json.loads(params["body"])
        assert call["stateMachineArn"] == os.environ["STATE_MACHINE_ARN"]
        self.started[call["name"]] = json.loads(call["input"])
        return SimpleNamespace(status_code=self._status), self._answer


@pytest.fixture
def step_functions() -> Iterator[StepFunctions]:
    """Step Functions, whose executions end well until a test says otherwise."""
    service = StepFunctions()
    events = clients.stepfunctions().meta.events
    events.register("before-call.sfn.StartSyncExecution", service)
    yield service
    events.unregister("before-call.sfn.StartSyncExecution", service)
