"""The deployed pipeline of a running stack, as its operators see it."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from local.stack import Stack

# The API's own limits must not slow down the load, which tests what is behind the API.
OPEN_LIMITS = {
    "RequestRateLimit": "10000",
    "RequestBurstLimit": "5000",
    "SubmitRateLimit": "10000",
    "SubmitBurstLimit": "5000",
}
"""Template parameters."""

# The operators' commands must work on all tickets of this stack, whatever options the user has set.
_NO_OPTIONS = dict.fromkeys(("STACK", "PROFILE", "TICKET", "ERROR", "SINCE", "DRY_RUN"), "")

_deserialize = TypeDeserializer().deserialize


class Pipeline:
    """The tickets, queues and executions of a running stack."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._notifications: Counter[str] = Counter()
        self._failures: dict[str, str] = {}

    def tickets(self, *attributes: str) -> dict[str, dict[str, Any]]:
        """All stored tickets by id, with these attributes (`ticketId` among them), or with all attributes."""
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
        """All executions, or only those with this status."""
        pages = self._stack.client("stepfunctions").get_paginator("list_executions")
        options = {"statusFilter": status} if status else {}
        return [
            execution
            for page in pages.paginate(stateMachineArn=self._stack.state_machine_arn, **options)
            for execution in page["executions"]
        ]

    def notifications(self) -> Counter[str]:
        """The number of notifications that the support team received about each ticket, by ticket id."""
        bodies = self._receive_all(self._stack.inbox_queue_url)
        self._notifications.update(json.loads(body)["ticketId"] for body in bodies)
        return self._notifications

    def failures(self) -> dict[str, str]:
        """The error of each ticket in the failed-tickets queue, by ticket id. This empties the queue."""
        for body in self._receive_all(self._stack.failed_tickets_queue_url):
            failure = json.loads(body)
            self._failures[failure["input"]["ticketId"]] = failure["error"]
        return self._failures

    def operator_environment(self, *, deadline_seconds: int) -> dict[str, str]:
        """The environment for `python -m ops …` to work on this stack, and to watch tickets for so long."""
        options = _NO_OPTIONS | {"DEADLINE": str(deadline_seconds), "STACK_DIR": str(self._folder)}
        return self._stack.emulator.environment() | options

    def _receive_all(self, queue_url: str) -> Iterator[str]:
        """Receive and delete all messages of a queue."""
        sqs = self._stack.client("sqs")
        while messages := sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1
        ).get("Messages"):
            for message in messages:
                yield message["Body"]
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])


def is_notified(ticket: Mapping[str, Any] | None) -> bool:
    """Whether a ticket is processed, and its notification recorded."""
    return ticket is not None and ticket["status"] == "PROCESSED" and "notifiedAt" in ticket
