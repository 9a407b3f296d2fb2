"""The waiting room: the queues of the tickets that are started again, at the pace of their consumer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.aws.errors import translated
from support.domain.errors import QueueRejected, QueueUnavailable
from support.domain.waiting import has_priority

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_sqs import SQSClient

    from support.domain.waiting import WaitingTicket


class WaitingRoom:
    """The SQS queues of waiting tickets: those with priority have one of their own."""

    def __init__(self, client: SQSClient, url: str, priority_url: str) -> None:
        self._client = client
        self._url = url
        self._priority_url = priority_url

    def admit(self, ticket: WaitingTicket, now: datetime, *, delay: int = 0) -> None:
        """Put a ticket in, from which it comes out after `delay` seconds, 0 to 900, at the earliest.

        Raises:
            QueueUnavailable: a repeat may succeed.
            QueueRejected: a repeat cannot succeed.
        """
        with translated(unavailable=QueueUnavailable, rejected=QueueRejected):
            self._client.send_message(
                QueueUrl=self._priority_url if has_priority(ticket.submission) else self._url,
                MessageBody=ticket.to_message(now),
                DelaySeconds=delay,
            )
