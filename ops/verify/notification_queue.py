"""A temporary queue that is subscribed to the support topic, like a tool of the support team."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from ops.stack import DeployedStack
from ops.verify.cleanup import Cleanup

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient


class NotificationQueue:
    """Counts the notifications that arrive. Every method raises botocore's errors."""

    def __init__(self, sqs: SQSClient, url: str) -> None:
        self._sqs = sqs
        self._url = url
        self._counts: Counter[str] = Counter()

    @classmethod
    def create(cls, stack: DeployedStack, run_id: str, cleanup: Cleanup) -> Self:
        """Create and subscribe the queue."""
        sqs: SQSClient = stack.client("sqs")
        sns: SNSClient = stack.client("sns")
        topic, name = stack.output("SupportTopicArn"), f"support-pipeline-verify-{run_id}"
        arn = ":".join([*topic.replace(":sns:", ":sqs:").split(":")[:5], name])

        def delete() -> None:
            with suppress(sqs.exceptions.QueueDoesNotExist):
                sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"])

        def unsubscribe() -> None:
            pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
            for subscription in (one for page in pages for one in page["Subscriptions"]):
                if subscription["Endpoint"] == arn:
                    sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])

        cleanup.add(f"queue {name}", delete)
        # A policy that is set later takes up to a minute to work, and until then SNS discards the messages.
        # Notifications for other customers' tickets also arrive; they are deleted within an hour.
        attributes = {"Policy": _policy(arn, topic), "MessageRetentionPeriod": "3600"}
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]  # type: ignore[arg-type]
        cleanup.add(f"subscription of queue {name}", unsubscribe)
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
        return cls(sqs, url)

    def counts(self) -> Counter[str]:
        """How many notifications have arrived so far, by ticket id."""
        while batch := self._sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=1
        ).get("Messages"):
            for message in batch:
                self._counts[_ticket_id(message["Body"])] += 1
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return self._counts


def _ticket_id(body: str) -> str:
    with suppress(ValueError, TypeError, KeyError):
        return str(json.loads(body)["ticketId"])
    return ""


def _policy(queue: str, topic: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
