"""The AWS clients, with explicit timeouts and retries.

The state machine retries tasks, which multiplies the SDK's retries: the SDK makes at most one quick second
attempt, and none for the model, whose calls are long. Nothing relies on defaults: they may differ in the
Lambda runtime's version of botocore. The clients are botocore's: boto3's are the same, behind an import that
adds a tenth to a cold start.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, cast

from botocore.config import Config
from botocore.session import get_session

if TYPE_CHECKING:
    from mypy_boto3_bedrock_runtime import BedrockRuntimeClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient

# Seconds. connect + read, times the attempts, stays below the tasks' Timeout in template.yaml.
_QUICK = Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 2, "mode": "standard"})
# SNS has usually accepted a message when its response is late: a retry would send a second notification.
_PUBLISH = Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 1, "mode": "standard"})
# Classify calls Bedrock and Parameter Store within one Timeout.
_MODEL = Config(connect_timeout=1, read_timeout=7, retries={"total_max_attempts": 1, "mode": "standard"})
_PARAMETERS = Config(
    connect_timeout=0.9, read_timeout=0.9, retries={"total_max_attempts": 1, "mode": "standard"}
)
# The read timeout exceeds the long poll of one second.
_POLL = Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 2, "mode": "standard"})
# StartSyncExecution returns when the execution ends, within the state machine's TimeoutSeconds. A retry would
# start a second execution.
_EXECUTION = Config(
    connect_timeout=1, read_timeout=245, retries={"total_max_attempts": 1, "mode": "standard"}
)

_SESSION = get_session()


@cache
def dynamodb() -> DynamoDBClient:
    """The DynamoDB client of this execution environment."""
    return cast("DynamoDBClient", _SESSION.create_client("dynamodb", config=_QUICK))


@cache
def sns() -> SNSClient:
    """The SNS client of this execution environment."""
    return cast("SNSClient", _SESSION.create_client("sns", config=_PUBLISH))


@cache
def sqs() -> SQSClient:
    """The SQS client of this execution environment."""
    return cast("SQSClient", _SESSION.create_client("sqs", config=_POLL))


@cache
def ssm() -> SSMClient:
    """The Parameter Store client of this execution environment."""
    return cast("SSMClient", _SESSION.create_client("ssm", config=_PARAMETERS))


@cache
def stepfunctions() -> SFNClient:
    """The Step Functions client of this execution environment."""
    return cast("SFNClient", _SESSION.create_client("stepfunctions", config=_EXECUTION))


@cache
def bedrock_runtime() -> BedrockRuntimeClient:
    """The Bedrock client of this execution environment."""
    return cast("BedrockRuntimeClient", _SESSION.create_client("bedrock-runtime", config=_MODEL))
