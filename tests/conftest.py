"""The environment of the functions under test, set before any of them is imported."""

import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import moto
import pytest
from moto.core.config import default_user_config
from moto.moto_api._internal.models import moto_api_backend

from infra.assemble import whole_template
from tests.helpers.aws_clients import aws_client
from tests.helpers.bedrock import Model, running_model
from tests.helpers.parameter_store import ParameterStore
from tests.helpers.queues import subscribed_queue

PROJECT = Path(__file__).parent.parent

# The functions make their clients when they are imported, as Lambda wants it: what they read is set by then.
for _name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[_name]
os.environ |= {
    "ALLOWED_ORIGIN": "https://support.example.com",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "http://bedrock.test",
    "AWS_LAMBDA_FUNCTION_NAME": "under-test",
    "STAGE_NAME": "test",
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
    "SHOW_DRAFTS": "confident",
    "MAIL_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:mail",
    "MIN_MAIL_SUBSCRIPTIONS": "1",
    "DIGEST_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/digest",
    "MODEL_ID": "amazon.nova-lite-v1:0",
    "FALLBACK_MODEL_ID": "mistral.mistral-large-2407-v1:0",
    "TOKEN_PRICES": "0.06,0.24",
    "FALLBACK_TOKEN_PRICES": "2,6",
    "REVIEW_THRESHOLD_PARAMETER": "/support-pipeline/test/review-threshold",
    "GUARDRAIL_ID": "",
    "GUARDRAIL_VERSION": "",
}


@pytest.fixture(scope="session")
def model_server() -> Iterator[Model]:
    """The model stand-in, which answers the functions' calls."""
    from support.aws import clients  # noqa: PLC0415 - after the environment is set

    with running_model() as model, model.answering(clients.bedrock_runtime()):
        yield model


@pytest.fixture
def model(model_server: Model) -> Model:
    """The model stand-in, without faults and with its counters at zero."""
    model_server.reset()
    return model_server


@pytest.fixture(scope="session")
def mocked_aws() -> Iterator[None]:
    """Moto instead of AWS, for the whole run: it takes longer to start than most tests."""
    # Moto's default would make a new session, which would read all service models again.
    core = default_user_config["core"] | {"reset_boto3_session": False}
    with moto.mock_aws(config={"core": core, "stepfunctions": {"execute_state_machine": True}}):
        yield


@pytest.fixture
def aws(mocked_aws: None, parameters: ParameterStore) -> Iterator[None]:
    """AWS as moto simulates it, with the table and the parameters of the template."""
    aws_client("dynamodb").create_table(TableName=os.environ["TICKETS_TABLE"], **_table())
    with _strict_dynamodb():
        yield
    moto_api_backend.reset()


@pytest.fixture
def parameters() -> Iterator[ParameterStore]:
    """The parameters of the template, with their defaults."""
    from support.aws import clients  # noqa: PLC0415 - after the environment is set

    defaults = {"SWEEP_AFTER_SECONDS_PARAMETER": "600", "REVIEW_THRESHOLD_PARAMETER": "0.6"}
    store = ParameterStore(**{os.environ[variable]: value for variable, value in defaults.items()})
    with store.answering(clients.ssm()):
        yield store


@pytest.fixture
def support_topic(aws: None) -> None:
    """The topic of the notifications."""
    aws_client("sns").create_topic(Name="support")


@cache
def _table() -> dict[str, Any]:
    """The tickets table as the template has it."""
    table = whole_template()["Resources"]["TicketsTable"]["Properties"]
    names = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    return {name: table[name] for name in names}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The functions' log lines."""
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
def inbox(support_topic: None) -> Callable[[], list[dict[str, object]]]:
    """Receives and deletes the notifications that have arrived since the last call."""
    return subscribed_queue(os.environ["SUPPORT_TOPIC_ARN"])
