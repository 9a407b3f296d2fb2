"""Digest: sends one mail about all tickets that could wait, and watches the mail's subscription."""

import os
from collections.abc import Iterator
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit, single_metric
from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws import clients
from support.aws.mail_topic import MailTopic
from support.aws.queue import DigestQueue
from support.aws.telemetry import logger
from support.domain.mail import Entry, digest

QUEUE = DigestQueue(clients.sqs(), os.environ["DIGEST_QUEUE_URL"])
TOPIC = MailTopic(
    clients.sns(), os.environ["MAIL_TOPIC_ARN"], min_subscriptions=int(os.environ["MIN_MAIL_SUBSCRIPTIONS"])
)
# To send the mail, and to delete as many messages as were received before; the next run takes the others.
RESERVED_MS = 70_000


@logger.inject_lambda_context(clear_state=True)
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Send one mail about all waiting announcements, none when nothing waits; return the `tickets` in it.

    The messages are deleted last: a run that dies earlier leaves them to the next one.

    Raises: NotifyUnavailable, NotifyRejected, QueueUnavailable, QueueRejected.
    """
    with single_metric("MailSubscriptions", MetricUnit.Count, TOPIC.confirmed_subscriptions()) as metric:
        metric.add_dimension("Topic", TOPIC.name)
    waiting = list(_received(context))
    if waiting:
        TOPIC.publish(digest(entry for entry, _ in waiting))
        QUEUE.delete(receipt for _, receipt in waiting)
        logger.info("tickets digested", tickets=len(waiting))
    return {"tickets": len(waiting)}


def _received(context: LambdaContext) -> Iterator[tuple[Entry, str]]:
    """The waiting announcements with their receipts, as many as there is time for."""
    while context.get_remaining_time_in_millis() > RESERVED_MS and (messages := QUEUE.receive()):
        yield from ((Entry.of(message["Body"]), message["ReceiptHandle"]) for message in messages)
