"""The waiting room: the queues of tickets that will be processed again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.aws.error_translation import translate_errors
from support.domain.errors import QueueRejected, QueueUnavailable
from support.domain.waiting import has_priority

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_sqs import SQSClient

    from support.domain.waiting import WaitingTicket


class WaitingRoom:
    """The SQS queues of waiting tickets: one for tickets with priority, and one for all others."""

    def __init__(self, client: SQSClient, url: str, priority_url: str) -> None:
        self._client = client
        self._url = url
        self._priority_url = priority_url

    def send(self, ticket: WaitingTicket, now: datetime, *, delay: int = 0) -> None:
        """Send a ticket, to be received after at least `delay` seconds (0 to 900).

        Raises:
            QueueUnavailable: a retry may succeed.
            QueueRejected: a retry cannot succeed.
        """
        with translate_errors(unavailable=QueueUnavailable, rejected=QueueRejected):
            self._client.send_message(
                QueueUrl=self._priority_url if has_priority(ticket.submission) else self._url,
                MessageBody=ticket.to_message(now),
                DelaySeconds=delay,
            )
