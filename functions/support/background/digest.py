"""Digest: send one mail about all less urgent tickets, and measure the mail topic's subscriptions."""

import os
from collections.abc import Iterator
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws import clients
from support.aws.mail_topic import MailTopic
from support.aws.queues import DigestQueue
from support.aws.telemetry import logger, record
from support.domain.mail_text import Entry, digest_mail
from support.domain.metrics import MAIL_SUBSCRIPTIONS

QUEUE = DigestQueue(clients.sqs(), os.environ["DIGEST_QUEUE_URL"])
TOPIC = MailTopic(
    clients.sns(), os.environ["MAIL_TOPIC_ARN"], min_subscriptions=int(os.environ["MIN_MAIL_SUBSCRIPTIONS"])
)
# Reserved for sending the mail and deleting the received messages; the next run receives the others.
RESERVED_MS = 70_000


@logger.inject_lambda_context(clear_state=True)
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Send one mail about all notifications in the queue, if there are any; return `{"tickets": count}`.

    Delete the messages last: after a crash, the next run receives them again.

    Raises: NotifyUnavailable, NotifyRejected, QueueUnavailable, QueueRejected.
    """
    record({MAIL_SUBSCRIPTIONS: TOPIC.confirmed_subscriptions()}, Topic=TOPIC.name)
    received = list(_receive(context))
    if received:
        TOPIC.publish(digest_mail(entry for entry, _ in received))
        QUEUE.delete(receipt for _, receipt in received)
        logger.info("tickets digested", tickets=len(received))
    return {"tickets": len(received)}


def _receive(context: LambdaContext) -> Iterator[tuple[Entry, str]]:
    """The notifications in the queue with their receipt handles, as many as there is time for."""
    while context.get_remaining_time_in_millis() > RESERVED_MS and (messages := QUEUE.receive()):
        yield from ((Entry.of(message["Body"]), message["ReceiptHandle"]) for message in messages)
