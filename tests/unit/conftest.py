"""Fixtures that several unit tests share: the waiting room, and Step Functions as Resume calls it."""

import json
import os
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from support.aws import clients
from tests.helpers.aws_clients import aws_client
from tests.helpers.queues import subscribed_queue

EXECUTION_ARN = "arn:aws:states:us-east-1:123456789012:express:ticket-pipeline:resumed:1"


@pytest.fixture
def failure_messages(aws: None) -> Callable[[], list[dict[str, Any]]]:
    """The messages that were published to the failure topic."""
    aws_client("sns").create_topic(Name="failures")
    queue = subscribed_queue(os.environ["FAILURE_TOPIC_ARN"])
    return lambda: [json.loads(str(message["Body"])) for message in queue()]


@pytest.fixture
def waiting_messages(aws: None) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The messages that the test sent to the waiting room, of tickets without priority."""
    yield from _sent_to(os.environ["WAITING_ROOM_URL"])


@pytest.fixture
def waiting_priority_messages(aws: None) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The messages that the test sent to the waiting room, of tickets with priority."""
    yield from _sent_to(os.environ["PRIORITY_WAITING_ROOM_URL"])


def _sent_to(url: str) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    # Record messages when they are sent: moto hides a delayed message until its delay is over.
    aws_client("sqs").create_queue(QueueName=url.rpartition("/")[2])
    messages: list[dict[str, Any]] = []

    def record(params: dict[str, Any], **_: object) -> None:
        if params["QueueUrl"] == url:
            assert 0 <= params["DelaySeconds"] <= 20
            messages.append(json.loads(params["MessageBody"]))

    events = clients.sqs().meta.events
    events.register("provide-client-params.sqs.SendMessage", record)
    yield lambda: messages
    events.unregister("provide-client-params.sqs.SendMessage", record)


class StepFunctions:
    """A fake StartSyncExecution; `started` records its calls: name → input."""

    def __init__(self) -> None:
        self.started: dict[str, Any] = {}
        self._response: dict[str, Any] = {}
        self._status = 200
        self.succeeds()

    def succeeds(self, output: object = None) -> None:
        """Make executions succeed."""
        self._end({"status": "SUCCEEDED", "output": json.dumps(output or {})})

    def fails(self, error: str) -> None:
        """Make executions fail."""
        self._end({"status": "FAILED", "error": error, "cause": "why"})

    def times_out(self) -> None:
        """Make executions time out."""
        self._end({"status": "TIMED_OUT"})

    def rejects(self, status: int, code: str) -> None:
        """Reject the start of executions."""
        error = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
        self._status, self._response = status, error

    def _end(self, response: dict[str, Any]) -> None:
        self._status, self._response = 200, {"executionArn": EXECUTION_ARN, **response}

    def __call__(self, params: dict[str, Any], **_: object) -> Any:
        """Respond to one call instead of AWS."""
        call = json.loads(params["body"])
        assert call["stateMachineArn"] == os.environ["STATE_MACHINE_ARN"]
        self.started[call["name"]] = json.loads(call["input"])
        return SimpleNamespace(status_code=self._status), self._response


@pytest.fixture
def step_functions() -> Iterator[StepFunctions]:
    """Step Functions, whose executions succeed until a test changes that."""
    service = StepFunctions()
    events = clients.stepfunctions().meta.events
    events.register("before-call.sfn.StartSyncExecution", service)
    yield service
    events.unregister("before-call.sfn.StartSyncExecution", service)
