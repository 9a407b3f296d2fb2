"""An SQS queue of failure messages: read without taking, and moved without losing."""

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

# How long a message stays hidden when nobody gives it back, because this process was killed.
HOLD_SECONDS = 300
_BATCH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as received; the receipt is good for as long as it is held."""

    id: str
    receipt: str
    body: str
    attributes: Mapping[str, Any]
    sent_at: datetime


class Queue:
    """One standard queue. Every method raises botocore's errors."""

    def __init__(self, client: SQSClient, url: str, *, wait_seconds: int = 1) -> None:
        self._client = client
        self._url = url
        # A long poll asks all of SQS's servers; a short one may find nothing where something is.
        self._wait_seconds = wait_seconds

    @contextmanager
    def held(self) -> Iterator[Held]:
        """All visible messages, hidden from others for the moment; what is not moved is given back."""
        messages: dict[str, Message] = {}
        held = Held(self._client, self._url, messages)
        try:
            while batch := self._receive():
                known = batch.keys() <= messages.keys()
                messages.update(batch)
                if known:  # Reading took so long that the first ones are visible again.
                    break
            yield held
        finally:
            held.give_back()

    def send(self, body: str, attributes: Mapping[str, Any] | None = None) -> None:
        """Put a message in."""
        self._client.send_message(
            QueueUrl=self._url, MessageBody=body, MessageAttributes=dict(attributes or {})
        )

    def waiting(self) -> int:
        """About how many messages are in it, whether visible, delayed or being worked on."""
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
        """Whether SQS itself can move the messages (StartMessageMoveTask), and we may ask it to."""
        try:
            self._client.list_message_move_tasks(SourceArn=self._arn())
        except ClientError:
            # The embedded AWS has no such operation; a role may lack it. One by one does as well.
            return False
        return True

    def move_all(self, to: Queue) -> None:
        """Have SQS move all visible messages; it goes on by itself after this returns."""
        self._client.start_message_move_task(SourceArn=self._arn(), DestinationArn=to._arn())

    def last_move_failure(self) -> str | None:
        """Why the latest move ended early, as SQS names it; None when it did not."""
        tasks = self._client.list_message_move_tasks(SourceArn=self._arn(), MaxResults=1)["Results"]
        return tasks[0].get("FailureReason") if tasks and tasks[0]["Status"] == "FAILED" else None

    def _arn(self) -> str:
        answer = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        return answer["Attributes"]["QueueArn"]

    def _receive(self) -> dict[str, Message]:
        answer = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=HOLD_SECONDS,
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
            for message in answer.get("Messages", [])
        }


class Held:
    """Messages that only we see for now."""

    def __init__(self, client: SQSClient, url: str, messages: dict[str, Message]) -> None:
        self._client = client
        self._url = url
        self._messages = messages

    def __iter__(self) -> Iterator[Message]:
        return iter([*self._messages.values()])

    def move(self, message: Message, to: Queue) -> None:
        """Move one message. Sent first: a crash in between leaves it in both queues, never in none."""
        to.send(message.body, message.attributes)
        self.delete(message)

    def delete(self, message: Message) -> None:
        """Delete one message."""
        self._client.delete_message(QueueUrl=self._url, ReceiptHandle=message.receipt)
        del self._messages[message.id]

    def give_back(self) -> None:
        """Make what is left visible to everybody again."""
        for batch in batched(self, _BATCH, strict=False):
            # What cannot be given back now comes back by itself: no reason to hide another error.
            with suppress(ClientError, BotoCoreError):
                self._client.change_message_visibility_batch(
                    QueueUrl=self._url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": message.receipt, "VisibilityTimeout": 0}
                        for number, message in enumerate(batch)
                    ],
                )
        self._messages.clear()
