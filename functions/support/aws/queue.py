"""The queues that functions read or write by themselves: of the digest, and of failed tickets."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import batched
from typing import TYPE_CHECKING

from support.aws.errors import translated
from support.domain.errors import QueueRejected, QueueUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

# The most that SQS returns or deletes in one call.
_BATCH = 10


class FailedTicketsQueue:
    """The SQS queue of what a person has to look at."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, body: str) -> None:
        """Put a message in as it is.

        Raises:
            QueueUnavailable: a repeat may succeed.
            QueueRejected: a repeat cannot succeed.
        """
        with translated(unavailable=QueueUnavailable, rejected=QueueRejected):
            self._client.send_message(QueueUrl=self._url, MessageBody=body)


class DigestQueue:
    """The SQS queue that the digest reads."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def receive(self) -> list[MessageTypeDef]:
        """Up to ten messages, hidden for the queue's visibility timeout; none when the queue is empty.

        Raises:
            QueueUnavailable: a repeat may succeed.
            QueueRejected: a repeat cannot succeed.
        """
        with translated(unavailable=QueueUnavailable, rejected=QueueRejected):
            # Without a wait SQS asks only some of its servers: the answer may be empty though messages wait.
            answer = self._client.receive_message(
                QueueUrl=self._url, MaxNumberOfMessages=_BATCH, WaitTimeSeconds=1
            )
        return answer.get("Messages", [])

    def delete(self, receipts: Iterable[str]) -> None:
        """Delete received messages by their receipt handles.

        Raises:
            QueueUnavailable: some are still there, and will be received again.
            QueueRejected: a repeat cannot succeed.
        """
        left = 0
        for batch in batched(receipts, _BATCH, strict=False):
            entries = [{"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(batch)]
            with translated(unavailable=QueueUnavailable, rejected=QueueRejected):
                answer = self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)  # type: ignore[arg-type]
            left += len(answer.get("Failed", []))
        if left:
            raise QueueUnavailable(f"{left} messages were not deleted; the next digest repeats them.")
