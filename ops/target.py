"""Where the stack is that a command works on: on this machine, or in an AWS account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.settings import Settings, StackError
from local.state import Stack
from ops.errors import UsageError
from ops.queue import Queue
from support.aws.table import TicketTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sqs import SQSClient

# FilterLogEvents allows few calls a second, and a person waits: patient. Read above SQS's long poll.
CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 6, "mode": "standard"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The clients and names that the commands need of one stack."""

    title: str
    dynamodb: DynamoDBClient
    sqs: SQSClient
    logs: CloudWatchLogsClient
    tickets_table: str
    failed_tickets_queue_url: str
    replay_queue_url: str
    log_group: str
    long_poll_seconds: int = 1

    @property
    def table(self) -> TicketTable:
        """The tickets."""
        return TicketTable(self.dynamodb, self.tickets_table)

    @property
    def failed_tickets(self) -> Queue:
        """The queue that keeps failed tickets."""
        return Queue(self.sqs, self.failed_tickets_queue_url, wait_seconds=self.long_poll_seconds)

    @property
    def replays(self) -> Queue:
        """The queue from which tickets are started again."""
        return Queue(self.sqs, self.replay_queue_url, wait_seconds=self.long_poll_seconds)


def local_stack(environment: Mapping[str, str]) -> Stack:
    """The stack that `make run` started (STACK_DIR).

    Raises:
        UsageError: none is running.
    """
    try:
        return Stack.load(Settings.from_environment(environment).folder)
    except StackError as error:
        raise UsageError(f"{error} To work on a deployed stack, name it: STACK=….") from error


def local_target(environment: Mapping[str, str]) -> Target:
    """The stack that `make run` started (STACK_DIR).

    Raises:
        UsageError: none is running.
    """
    stack = local_stack(environment)
    return Target(
        title="the local stack",
        dynamodb=stack.client("dynamodb"),
        sqs=stack.client("sqs"),
        logs=stack.client("logs"),
        tickets_table=stack.tickets_table,
        failed_tickets_queue_url=stack.failed_tickets_queue_url,
        replay_queue_url=stack.replay_queue_url,
        log_group=stack.state_machine_log_group,
    )


def deployed_target(stack_name: str, profile: str | None) -> Target:
    """A stack in an AWS account, by its CloudFormation outputs.

    Raises:
        UsageError: the credentials, the region, the stack or one of its outputs is missing.
    """
    try:
        session = boto3.Session(profile_name=profile)
        cloudformation = session.client("cloudformation", config=CONFIG)
        (stack,) = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
        return Target(
            title=f"stack {stack_name} in {session.region_name}",
            dynamodb=session.client("dynamodb", config=CONFIG),
            sqs=session.client("sqs", config=CONFIG),
            logs=session.client("logs", config=CONFIG),
            tickets_table=outputs["TicketsTable"],
            failed_tickets_queue_url=outputs["FailedTicketsQueueUrl"],
            replay_queue_url=outputs["ReplayQueueUrl"],
            log_group=outputs["StateMachineLogGroup"],
        )
    except KeyError as error:
        raise UsageError(f"Stack {stack_name} has no output {error}: is it a support pipeline?") from error
    except (BotoCoreError, ClientError) as error:
        raise UsageError(f"Stack {stack_name} cannot be read: {error}") from error
