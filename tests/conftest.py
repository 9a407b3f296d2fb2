"""The environment of the functions under test, set before any of them is imported."""

import io
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import httpx
import moto
import pytest
import yaml

from local.processes import wait_for

PROJECT = Path(__file__).parent.parent


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


MODEL_PORT = _free_port()

# The functions make their clients when they are imported, as Lambda wants it: what they read is set by then.
for _name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[_name]
os.environ |= {
    "ALLOWED_ORIGIN": "https://support.example.com",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": f"http://127.0.0.1:{MODEL_PORT}",
    "AWS_LAMBDA_FUNCTION_NAME": "under-test",
    "POWERTOOLS_SERVICE_NAME": "support-pipeline",
    "POWERTOOLS_METRICS_NAMESPACE": "SupportPipeline",
    "TICKETS_TABLE": "tickets",
    "TICKET_RETENTION_DAYS": "0",
    "FAILURE_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:failures",
    "FAILED_TICKETS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/failed-tickets",
    "WAITING_ROOM_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/waiting-room",
    "PRIORITY_WAITING_ROOM_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/priority-waiting-room",
    "MAX_WAIT_HOURS": "24",
    "STATE_MACHINE_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:ticket-pipeline",
    "SWEEP_AFTER_SECONDS_PARAMETER": "/support-pipeline/test/sweep-after-seconds",
    "SUPPORT_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:support",
    "IMMEDIATE_MAIL_URGENCIES": "CRITICAL,HIGH",
    "MAIL_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:mail",
    "MIN_MAIL_SUBSCRIPTIONS": "1",
    "DIGEST_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/digest",
    "MODEL_ID": "amazon.nova-lite-v1:0",
    "FALLBACK_MODEL_ID": "mistral.mistral-large-2407-v1:0",
    "REVIEW_THRESHOLD_PARAMETER": "/support-pipeline/test/review-threshold",
    "GUARDRAIL_ID": "",
    "GUARDRAIL_VERSION": "",
}


class Model:
    """The model stand-in, a real process-wide server; faults are set as its users set them."""

    def __init__(self, url: str) -> None:
        self.url = url

    def fail(self, **faults: object) -> None:
        """Set faults: `fail(deny=1.0)`, `fail(next={"throttle": 2})`; `fail()` clears them."""
        httpx.post(f"{self.url}/faults", json=faults).raise_for_status()

    def calls(self) -> dict[str, int]:
        """How many calls ended how."""
        return dict(httpx.get(f"{self.url}/calls").raise_for_status().json())


@pytest.fixture(scope="session")
def model_server() -> Iterator[str]:
    """The model stand-in on the port that the functions call."""
    command = [sys.executable, "-m", "devtools.model", "--port", str(MODEL_PORT)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{MODEL_PORT}"
        wait_until(lambda: _answers(f"{url}/healthz"))
        yield url
        process.terminate()


@pytest.fixture
def model(model_server: str) -> Model:
    """The model stand-in, without faults and with its counters at zero."""
    model = Model(model_server)
    model.fail()
    httpx.delete(f"{model_server}/calls").raise_for_status()
    return model


@pytest.fixture
def aws() -> Iterator[None]:
    """AWS as moto plays it, with the table, the topic and the parameters of the template."""
    with moto.mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        _client("dynamodb").create_table(TableName=os.environ["TICKETS_TABLE"], **_table())
        _client("sns").create_topic(Name="support")
        for variable, value in (
            ("SWEEP_AFTER_SECONDS_PARAMETER", "600"),
            ("REVIEW_THRESHOLD_PARAMETER", "0.6"),
        ):
            _client("ssm").put_parameter(Name=os.environ[variable], Value=value, Type="String")
        with _strict_dynamodb():
            yield


@cache
def _client(service: str) -> Any:
    """A client for the whole run: to make one takes longer than most tests."""
    return boto3.client(service)  # type: ignore[call-overload]


@cache
def _table() -> dict[str, Any]:
    """The tickets table as the template has it."""
    resources = yaml.load((PROJECT / "template.yaml").read_text(), _Loader)["Resources"]  # noqa: S506
    table = resources["TicketsTable"]["Properties"]
    names = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    return {name: table[name] for name in names}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the functions log."""
    from support.aws.telemetry import logger  # noqa: PLC0415 - after the environment is set

    stream = logger.registered_handler.setStream(log := io.StringIO())  # type: ignore[attr-defined]
    yield log
    logger.registered_handler.setStream(stream)  # type: ignore[attr-defined]


@contextmanager
def _strict_dynamodb() -> Iterator[None]:
    """DynamoDB refuses a name or a value that no expression uses; moto lets it pass."""
    from support.aws import clients  # noqa: PLC0415 - after the environment is set

    def check(params: dict[str, Any], **_: object) -> None:
        text = " ".join(str(value) for name, value in params.items() if name.endswith("Expression"))
        declared = params.get("ExpressionAttributeNames", {}) | params.get("ExpressionAttributeValues", {})
        assert set(declared) <= set(re.findall(r"[#:]\w+", text)), text

    events = clients.dynamodb().meta.events
    events.register("provide-client-params.dynamodb", check)
    yield
    events.unregister("provide-client-params.dynamodb", check)


@pytest.fixture
def inbox(aws: None) -> Callable[[], list[dict[str, object]]]:
    """The support team's mailbox: takes out the announcements that have arrived since the last call."""
    return subscribed_queue(os.environ["SUPPORT_TOPIC_ARN"])


def subscribed_queue(topic_arn: str) -> Callable[[], list[dict[str, object]]]:
    """Subscribe a new queue to a topic; the answer takes out its messages."""
    sqs = boto3.client("sqs")
    name = "inbox-" + topic_arn.rpartition(":")[2]
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    boto3.client("sns").subscribe(
        TopicArn=topic_arn,
        Protocol="sqs",
        Endpoint=f"arn:aws:sqs:us-east-1:123456789012:{name}",
        Attributes={"RawMessageDelivery": "true"},
    )
    return lambda: receive_all(sqs, url)


def receive_all(sqs: object, url: str) -> list[dict[str, object]]:
    """Take all messages out of a queue."""
    received: list[dict[str, object]] = []
    while messages := sqs.receive_message(  # type: ignore[attr-defined]
        QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    ).get("Messages"):
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])  # type: ignore[attr-defined]
        received += messages
    return received


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for a condition; fail when it has not come true by the deadline."""
    assert wait_for(condition, seconds), "the condition did not come true in time"


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


class _Loader(yaml.SafeLoader):
    """Reads a template; what CloudFormation's short tags stand for is not needed here."""


_Loader.add_multi_constructor("!", lambda loader, suffix, node: f"!{suffix}")
