"""The SQS queues of failed tickets and of the digest."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import batched
from typing import TYPE_CHECKING

from support.aws.error_translation import translate_errors
from support.domain.errors import QueueRejected, QueueUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

# The maximum that SQS returns or deletes in one call.
_BATCH = 10


class FailedTicketsQueue:
    """The SQS queue of tickets that failed, for operators."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, body: str) -> None:
        """Send a message unchanged.

        Raises:
            QueueUnavailable: a retry may succeed.
            QueueRejected: a retry cannot succeed.
        """
        with translate_errors(unavailable=QueueUnavailable, rejected=QueueRejected):
            self._client.send_message(QueueUrl=self._url, MessageBody=body)


class DigestQueue:
    """The SQS queue of notifications for the digest."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def receive(self) -> list[MessageTypeDef]:
        """Receive up to ten messages; none means that the queue is empty.

        Raises:
            QueueUnavailable: a retry may succeed.
            QueueRejected: a retry cannot succeed.
        """
        with translate_errors(unavailable=QueueUnavailable, rejected=QueueRejected):
            # Long polling: a short poll asks only some servers and may miss messages.
            response = self._client.receive_message(
                QueueUrl=self._url, MaxNumberOfMessages=_BATCH, WaitTimeSeconds=1
            )
        return response.get("Messages", [])

    def delete(self, receipts: Iterable[str]) -> None:
        """Delete received messages by their receipt handles.

        Raises:
            QueueUnavailable: some messages were not deleted; SQS delivers them again.
            QueueRejected: a retry cannot succeed.
        """
        failed = 0
        for batch in batched(receipts, _BATCH, strict=False):
            entries = [{"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(batch)]
            with translate_errors(unavailable=QueueUnavailable, rejected=QueueRejected):
                response = self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)  # type: ignore[arg-type]
            failed += len(response.get("Failed", []))
        if failed:
            raise QueueUnavailable(f"{failed} messages were not deleted; the next digest repeats them.")
