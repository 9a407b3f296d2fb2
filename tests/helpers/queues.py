"""Receive messages from SQS queues, and subscribe queues to topics."""

from collections.abc import Callable
from typing import Any

from tests.helpers.aws_clients import aws_client


def receive_all(sqs: Any, url: str, wait_seconds: int = 0) -> list[dict[str, Any]]:
    """Receive and delete all messages of a queue that then stays empty for `wait_seconds`."""
    received: list[dict[str, Any]] = []
    while messages := sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        MessageAttributeNames=["All"],
        WaitTimeSeconds=wait_seconds,
    ).get("Messages"):
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        received += messages
    return received


def subscribed_queue(topic_arn: str) -> Callable[[], list[dict[str, Any]]]:
    """Subscribe a new queue to a topic; return a function that receives and deletes its messages."""
    sqs = aws_client("sqs")
    name = "inbox-" + topic_arn.rpartition(":")[2]
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    aws_client("sns").subscribe(
        TopicArn=topic_arn,
        Protocol="sqs",
        Endpoint=f"arn:aws:sqs:us-east-1:123456789012:{name}",
        Attributes={"RawMessageDelivery": "true"},
    )
    return lambda: receive_all(sqs, url)
