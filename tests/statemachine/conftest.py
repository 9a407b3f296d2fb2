"""The real definition with the real handlers, run by moto's interpreter.

Replaces three private names of moto (which is pinned exactly): the client with which a task invokes
functions, so that the handlers run in this process; the clock of the retries, so that waits are recorded
only; and the parser, which takes longer than an execution and would read the definition twice in each test.
"""

import importlib
import io
import json
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from local.processes import wait_for
from support.aws import clients
from tests.helpers.aws_clients import aws_client
from tests.helpers.lambda_context import lambda_context
from tests.helpers.queues import receive_all

DEFINITION = Path(__file__).parents[2] / "statemachine" / "ticket_pipeline.asl.yaml"
FAILURE_TOPIC = "arn:aws:sns:us-east-1:123456789012:failures"
TASKS = ("store", "classify", "update", "notify")

# What the parser returns holds no state of an execution.
_parse = cache(AmazonStateLanguageParser.parse)


class LambdaService:
    """A fake Lambda client: runs the real handler and reports its exception like Lambda."""

    def __init__(self) -> None:
        self.invoked: list[str] = []
        self._faults: dict[str, list[str]] = {}

    def fail(self, function: str, *errors: str) -> None:
        """Make the next invocations fail: the service rejects `Lambda.…`, other errors crash the function.

        An empty string lets one invocation succeed; a name with `+` crashes the function after its work.
        """
        self._faults.setdefault(function, []).extend(errors)

    def invoke(self, FunctionName: str, Payload: str | bytes) -> dict[str, Any]:  # noqa: N803
        """Lambda's Invoke."""
        function = FunctionName.rpartition(":")[2]
        self.invoked.append(function)
        fault = self._faults[function].pop(0) if self._faults.get(function) else ""
        if fault.startswith("Lambda."):
            code = fault.removeprefix("Lambda.")
            raise _rejection(code)
        if fault and not fault.startswith("+"):
            return self._response({"errorType": fault, "errorMessage": "the function crashed"}, "Unhandled")
        try:
            result = _handler(function)(json.loads(Payload), lambda_context(function))
        except Exception as error:  # noqa: BLE001 - Lambda reports every exception of a handler
            return self._response(
                {"errorType": type(error).__name__, "errorMessage": str(error)}, "Unhandled"
            )
        if fault:
            return self._response(
                {"errorType": fault[1:], "errorMessage": "the function crashed"}, "Unhandled"
            )
        return self._response(result, None)

    @staticmethod
    def _response(payload: object, error: str | None) -> dict[str, Any]:
        body = io.BytesIO(json.dumps(payload).encode())
        return {"StatusCode": 200, "Payload": body} | ({"FunctionError": error} if error else {})


def _rejection(code: str) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "rejected"},
        "ResponseMetadata": {"HTTPStatusCode": 429, "RequestId": "r"},
    }
    return ClientError(response, "Invoke")


def _handler(function: str) -> Callable[[Any, Any], Any]:
    return importlib.import_module(f"support.tasks.{function}").handler  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Execution:
    """The result of an execution."""

    status: str
    error: str | None
    states: list[str]
    output: Any


class Pipeline:
    """The deployed state machine, its functions and its queues."""

    def __init__(
        self,
        arn: str,
        lambda_service: LambdaService,
        waits: list[float],
        failed_queue_url: str,
        waiting_room_urls: tuple[str, str],
    ) -> None:
        self._arn = arn
        self._stepfunctions = aws_client("stepfunctions")
        self._queue_url = failed_queue_url
        self._waiting_room_url, self._priority_waiting_room_url = waiting_room_urls
        self.functions = lambda_service
        self.waits = waits

    def run(self, execution_input: object) -> Execution:
        """Run one execution and wait until it ends."""
        arn = self._stepfunctions.start_execution(
            stateMachineArn=self._arn, name=str(uuid.uuid4()), input=json.dumps(execution_input)
        )["executionArn"]

        def ended() -> bool:
            return bool(self._stepfunctions.describe_execution(executionArn=arn)["status"] != "RUNNING")

        assert wait_for(ended, 30), "the execution did not end in time"
        description = self._stepfunctions.describe_execution(executionArn=arn)
        events = self._stepfunctions.get_execution_history(executionArn=arn, maxResults=1000)["events"]
        return Execution(
            status=description["status"],
            error=description.get("error"),
            states=[e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e],
            output=json.loads(description["output"]) if "output" in description else None,
        )

    def deferred(self) -> list[dict[str, Any]]:
        """Receive and delete the messages in the waiting room without priority."""
        return self._receive(self._waiting_room_url)

    def deferred_with_priority(self) -> list[dict[str, Any]]:
        """Receive and delete the messages in the waiting room with priority."""
        return self._receive(self._priority_waiting_room_url)

    def failure_messages(self) -> list[dict[str, Any]]:
        """Receive and delete the messages in the failed-tickets queue."""
        return self._receive(self._queue_url)

    @staticmethod
    def _receive(url: str) -> list[dict[str, Any]]:
        return [json.loads(message["Body"]) for message in receive_all(aws_client("sqs"), url)]


@pytest.fixture
def pipeline(support_topic: None, model: object, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """The state machine, deployed without a fallback model, which is the default."""
    return _deploy(monkeypatch, fallback_model="none")


@pytest.fixture
def fallback_pipeline(support_topic: None, model: object, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """The state machine, deployed with a fallback model."""
    return _deploy(monkeypatch, fallback_model=os.environ["FALLBACK_MODEL_ID"])


def _deploy(monkeypatch: pytest.MonkeyPatch, fallback_model: str) -> Pipeline:
    service = LambdaService()
    waits: list[float] = []
    monkeypatch.setattr(lambda_eval_utils, "boto_client_for", lambda **_: service)
    monkeypatch.setattr(retrier_decl, "time", _RecordingClock(waits))
    monkeypatch.setattr(AmazonStateLanguageParser, "parse", _parse)
    queue_url = _failure_topic_with_queue()
    waiting_room_urls = (
        aws_client("sqs").create_queue(QueueName="waiting-room")["QueueUrl"],
        aws_client("sqs").create_queue(QueueName="priority-waiting-room")["QueueUrl"],
    )
    arn = aws_client("stepfunctions").create_state_machine(
        name="ticket-pipeline",
        type="EXPRESS",
        definition=_definition(queue_url, waiting_room_urls, fallback_model),
        roleArn="arn:aws:iam::123456789012:role/pipeline",
    )["stateMachineArn"]
    return Pipeline(arn, service, waits, queue_url, waiting_room_urls)


class _RecordingClock:
    def __init__(self, waits: list[float]) -> None:
        self._waits = waits

    def sleep(self, seconds: float) -> None:
        self._waits.append(seconds)


def _failure_topic_with_queue() -> str:
    sqs, sns = aws_client("sqs"), aws_client("sns")
    sns.create_topic(Name="failures")
    url = sqs.create_queue(QueueName="failed-tickets")["QueueUrl"]
    sns.subscribe(
        TopicArn=FAILURE_TOPIC,
        Protocol="sqs",
        Endpoint="arn:aws:sqs:us-east-1:123456789012:failed-tickets",
        Attributes={"RawMessageDelivery": "true"},
    )
    return str(url)


def _definition(failed_queue_url: str, waiting_room_urls: tuple[str, str], fallback_model: str) -> str:
    text = _template().replace("${Partition}", "aws")
    # No delays: moto hides a delayed message until its delay is over.
    text = text.replace('"DelaySeconds.$": "States.MathRandom(1, 21)"', '"DelaySeconds": 0')
    for queue, url in zip(("WaitingRoom", "PriorityWaitingRoom"), waiting_room_urls, strict=True):
        text = text.replace(f"${{{queue}QueueUrl}}", url)
    text = text.replace("${FallbackModelId}", fallback_model)
    for task in TASKS:
        arn = f"arn:aws:lambda:us-east-1:123456789012:function:{task}"
        text = text.replace(f"${{{task.capitalize()}FunctionArn}}", arn)
    text = text.replace("${FailureTopicArn}", FAILURE_TOPIC).replace(
        "${FailedTicketsQueueUrl}", failed_queue_url
    )
    return text


@cache
def _template() -> str:
    return json.dumps(yaml.safe_load(DEFINITION.read_text()))


class AwsFaults:
    """Injects errors of AWS into the functions' clients."""

    def __init__(self) -> None:
        self._registered: list[tuple[Any, str, Any]] = []

    def fail(self, operation: str, status: int, code: str, *, writing: str = "") -> None:
        """Make the calls of an operation, e.g. `dynamodb.UpdateItem`, fail if they contain `writing`."""
        service = operation.partition(".")[0]
        client: Any = {"dynamodb": clients.dynamodb, "sns": clients.sns}[service]()
        error = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}

        def respond(params: dict[str, Any], **_: object) -> Any:
            is_selected = writing in str(params["body"])
            return (SimpleNamespace(status_code=status), error) if is_selected else None

        event = f"before-call.{operation}"
        client.meta.events.register(event, respond)
        self._registered.append((client, event, respond))

    def heal(self) -> None:
        """Let all calls succeed again."""
        for client, event, respond in self._registered:
            client.meta.events.unregister(event, respond)
        self._registered.clear()


@pytest.fixture
def aws_faults() -> Iterator[AwsFaults]:
    """Errors of DynamoDB and SNS."""
    faults = AwsFaults()
    yield faults
    faults.heal()
