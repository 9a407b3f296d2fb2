"""The resources of a stack that the commands use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from ops.queue import Queue
from ops.stack import DeployedStack
from support.aws.pending import PendingTickets
from support.aws.table import TicketTable
from support.domain.waiting import has_priority

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sts import STSClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The clients and resource names of one stack; with `ticket_retention_days` 0 tickets never expire."""

    label: str
    dynamodb: DynamoDBClient
    sqs: SQSClient
    logs: CloudWatchLogsClient
    sts: STSClient
    tickets_table: str
    failed_tickets_queue_url: str
    waiting_room_url: str
    priority_waiting_room_url: str
    log_group: str
    operations_log_group: str
    ticket_retention_days: int
    is_log_masked: bool = False
    long_poll_seconds: int = 1

    @classmethod
    def from_stack(cls, stack: DeployedStack) -> Self:
        """The target that a stack's outputs describe.

        Raises:
            UsageError: an output is missing.
        """
        return cls(
            label=stack.label,
            tickets_table=stack.output("TicketsTable"),
            failed_tickets_queue_url=stack.output("FailedTicketsQueueUrl"),
            waiting_room_url=stack.output("WaitingRoomQueueUrl"),
            priority_waiting_room_url=stack.output("PriorityWaitingRoomQueueUrl"),
            log_group=stack.output("StateMachineLogGroup"),
            operations_log_group=stack.output("OperationsLogGroup"),
            is_log_masked=stack.parameters.get("LogMasking") == "mask",
            ticket_retention_days=int(stack.parameters.get("TicketRetentionDays", "0")),
            dynamodb=stack.client("dynamodb"),
            sqs=stack.client("sqs"),
            logs=stack.client("logs"),
            sts=stack.client("sts"),
        )

    @property
    def table(self) -> TicketTable:
        """The tickets table."""
        return TicketTable(self.dynamodb, self.tickets_table)

    @property
    def pending_tickets(self) -> PendingTickets:
        """The pending and waiting tickets."""
        return PendingTickets(self.dynamodb, self.tickets_table)

    @property
    def failed_tickets_queue(self) -> Queue:
        """The failed-tickets queue."""
        return Queue(self.sqs, self.failed_tickets_queue_url, wait_seconds=self.long_poll_seconds)

    @property
    def waiting_room(self) -> Queue:
        """The waiting room for tickets without priority."""
        return Queue(self.sqs, self.waiting_room_url, wait_seconds=self.long_poll_seconds)

    def waiting_room_for(self, submission: Mapping[str, Any]) -> Queue:
        """The waiting room for this submission's ticket, depending on its priority."""
        if not has_priority(submission):
            return self.waiting_room
        return Queue(self.sqs, self.priority_waiting_room_url, wait_seconds=self.long_poll_seconds)

    def operator_arn(self) -> str:
        """The ARN of the identity that runs the command. Raises botocore's errors."""
        return self.sts.get_caller_identity()["Arn"]
