"""The deployed pipeline as its operators see it."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from local.state import Stack

# Whatever the caller's environment says: this stack, and all of it.
_OPS_OPTIONS = dict.fromkeys(("STACK", "PROFILE", "TICKET", "ERROR", "SINCE", "DRY_RUN"), "")

_deserialize = TypeDeserializer().deserialize


class Pipeline:
    """A running stack's table, queues and executions."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._inbox: Counter[str] = Counter()
        self._failures: dict[str, str] = {}

    def tickets(self, *attributes: str) -> dict[str, dict[str, Any]]:
        """All stored tickets by id, with these attributes (`ticketId` among them), or with all of them."""
        pages = self._stack.client("dynamodb").get_paginator("scan")
        projection = {
            "ProjectionExpression": ", ".join(f"#{name}" for name in attributes),
            "ExpressionAttributeNames": {f"#{name}": name for name in attributes},
        }
        scan = {"TableName": self._stack.tickets_table, "ConsistentRead": True}
        return {
            item["ticketId"]["S"]: {name: _deserialize(value) for name, value in item.items()}
            for page in pages.paginate(**scan | (projection if attributes else {}))
            for item in page["Items"]
        }

    def executions(self, status: str | None = None) -> list[dict[str, Any]]:
        """All executions so far, or those in one status."""
        pages = self._stack.client("stepfunctions").get_paginator("list_executions")
        options = {"statusFilter": status} if status else {}
        return [
            execution
            for page in pages.paginate(stateMachineArn=self._stack.state_machine_arn, **options)
            for execution in page["executions"]
        ]

    def announcements(self) -> Counter[str]:
        """How often the support team was told of each ticket."""
        self._inbox.update(json.loads(body)["ticketId"] for body in self._taken(self._stack.inbox_queue_url))
        return self._inbox

    def failures(self) -> dict[str, str]:
        """The errors of the tickets in the failed-tickets queue, which is empty after that: for the end."""
        for body in self._taken(self._stack.failed_tickets_queue_url):
            failure = json.loads(body)
            self._failures[failure["input"]["ticketId"]] = failure["error"]
        return self._failures

    def operators_environment(self, *, deadline_seconds: int) -> dict[str, str]:
        """The environment in which `python -m ops …` works on this stack, watching until the deadline."""
        options = _OPS_OPTIONS | {"DEADLINE": str(deadline_seconds), "STACK_DIR": str(self._folder)}
        return self._stack.aws.environment() | options

    def _taken(self, queue_url: str) -> Iterator[str]:
        """Take all messages out of a queue."""
        sqs = self._stack.client("sqs")
        while messages := sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1
        ).get("Messages"):
            for message in messages:
                yield message["Body"]
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])


def is_final(ticket: Mapping[str, Any] | None) -> bool:
    """Whether a ticket owes nothing any more: it is read, and its announcement noted."""
    return ticket is not None and ticket["status"] == "PROCESSED" and "notifiedAt" in ticket
