"""`make mail`: show the mails to the support team, each of them once."""

import json
import sys

from local.stack import Stack


def print_mail(stack: Stack) -> None:
    """Print all mails in the local mailbox, and delete them there."""
    sqs, mailbox = stack.client("sqs"), stack.mailbox_queue_url
    shown = 0
    while messages := sqs.receive_message(QueueUrl=mailbox, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            mail = json.loads(message["Body"])
            sys.stdout.write(f"Subject: {mail['Subject']}\n\n{mail['Message']}\n{'=' * 40}\n")
            sqs.delete_message(QueueUrl=mailbox, ReceiptHandle=message["ReceiptHandle"])
        shown += len(messages)
    if not shown:
        sys.stdout.write("No new mail. Tickets that are not urgent come with the next digest.\n")
