"""An SQS queue of failure messages, read without loss: a message is deleted only after it was handled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# A message that is not released is visible again after 300 seconds, such as when this process is killed.
VISIBILITY_TIMEOUT = 300
_BATCH_SIZE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A received message; the receipt is valid until the message is visible again."""

    id: str
    receipt: str
    body: str
    attributes: Mapping[str, Any]
    sent_at: datetime


class Queue:
    """A standard queue. Every method raises botocore's errors."""

    def __init__(self, client: SQSClient, url: str, *, wait_seconds: int = 1) -> None:
        self._client = client
        self._url = url
        # A long poll queries all of SQS's servers; a short poll may miss messages.
        self._wait_seconds = wait_seconds

    @contextmanager
    def receive_all(self) -> Iterator[ReceivedMessages]:
        """Receive all visible messages; at the end, release those that were not moved or deleted."""
        messages: dict[str, Message] = {}
        received = ReceivedMessages(self._client, self._url, messages)
        try:
            while batch := self._receive():
                is_repeated = batch.keys() <= messages.keys()
                messages.update(batch)
                if is_repeated:  # Reading took so long that the first messages are visible again.
                    break
            yield received
        finally:
            received.release()

    def send(self, body: str, attributes: Mapping[str, Any] | None = None) -> None:
        """Send a message."""
        self._client.send_message(
            QueueUrl=self._url, MessageBody=body, MessageAttributes=dict(attributes or {})
        )

    def size(self) -> int:
        """The approximate number of messages: visible, delayed or in flight."""
        counts = self._client.get_queue_attributes(
            QueueUrl=self._url,
            AttributeNames=[
                "ApproximateNumberOfMessages",
                "ApproximateNumberOfMessagesDelayed",
                "ApproximateNumberOfMessagesNotVisible",
            ],
        )["Attributes"]
        return sum(int(number) for number in counts.values())

    def can_move_all(self) -> bool:
        """Whether SQS can move the messages itself (StartMessageMoveTask), and the caller may ask it to."""
        try:
            self._client.list_message_move_tasks(SourceArn=self._arn())
        except ClientError:
            # The emulator lacks the operation, and a role may lack the permission. The caller can then move
            # the messages one by one.
            return False
        return True

    def move_all(self, to: Queue) -> None:
        """Start moving all visible messages; SQS continues after this returns."""
        self._client.start_message_move_task(SourceArn=self._arn(), DestinationArn=to._arn())

    def last_move_failure(self) -> str | None:
        """SQS's reason for the failure of the latest move; None when it did not fail."""
        tasks = self._client.list_message_move_tasks(SourceArn=self._arn(), MaxResults=1)["Results"]
        return tasks[0].get("FailureReason") if tasks and tasks[0]["Status"] == "FAILED" else None

    def _arn(self) -> str:
        response = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        return response["Attributes"]["QueueArn"]

    def _receive(self) -> dict[str, Message]:
        response = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=_BATCH_SIZE,
            VisibilityTimeout=VISIBILITY_TIMEOUT,
            WaitTimeSeconds=self._wait_seconds,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["SentTimestamp"],
        )
        return {
            message["MessageId"]: Message(
                id=message["MessageId"],
                receipt=message["ReceiptHandle"],
                body=message["Body"],
                attributes=message.get("MessageAttributes", {}),
                sent_at=datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC),
            )
            for message in response.get("Messages", [])
        }


class ReceivedMessages:
    """Messages in flight, hidden from other consumers."""

    def __init__(self, client: SQSClient, url: str, messages: dict[str, Message]) -> None:
        self._client = client
        self._url = url
        self._messages = messages

    def __iter__(self) -> Iterator[Message]:
        return iter([*self._messages.values()])

    def move(self, message: Message, to: Queue) -> None:
        """Move one message. Send first: a duplicate message beats a lost one."""
        to.send(message.body, message.attributes)
        self.delete(message)

    def delete(self, message: Message) -> None:
        """Delete one message."""
        self._client.delete_message(QueueUrl=self._url, ReceiptHandle=message.receipt)
        del self._messages[message.id]

    def release(self) -> None:
        """Make the remaining messages visible again."""
        for batch in batched(self, _BATCH_SIZE, strict=False):
            # A message that is not released becomes visible later; do not replace another error for it.
            with suppress(ClientError, BotoCoreError):
                self._client.change_message_visibility_batch(
                    QueueUrl=self._url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": message.receipt, "VisibilityTimeout": 0}
                        for number, message in enumerate(batch)
                    ],
                )
        self._messages.clear()
