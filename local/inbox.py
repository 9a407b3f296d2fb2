"""`make mail` and `make inbox`: show what the support team and its tools have received, each message once."""

import json
import sys
from collections.abc import Iterator
from typing import Any

from local.console import printable
from local.stack import Stack


def print_mail(stack: Stack) -> None:
    """Print all mails in the local mailbox, and delete them there."""
    shown = 0
    for message in _take_all(stack, stack.mailbox_queue_url):
        mail = json.loads(message["Body"])
        sys.stdout.write(f"Subject: {mail['Subject']}\n\n{mail['Message']}\n{'=' * 40}\n")
        shown += 1
    if not shown:
        sys.stdout.write("No new mail. Tickets that are not urgent come with the next digest.\n")


def print_notifications(stack: Stack) -> None:
    """Print all notifications in the inbox of the team's tools, and delete them there."""
    shown = 0
    for message in _take_all(stack, stack.inbox_queue_url):
        attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
        document = json.dumps(json.loads(message["Body"]), indent=2, ensure_ascii=False)
        sys.stdout.write(f"Attributes: {json.dumps(attributes)}\n\n{printable(document)}\n{'=' * 40}\n")
        shown += 1
    if not shown:
        sys.stdout.write("No new notifications. Every processed ticket sends one.\n")


def _take_all(stack: Stack, queue_url: str) -> Iterator[Any]:
    """Receive all messages of a queue; each is deleted once it was used."""
    sqs = stack.client("sqs")
    while messages := sqs.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    ).get("Messages"):
        for message in messages:
            yield message
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
