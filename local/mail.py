"""`make mail`: the mails that the support team would have got, each shown once."""

import json
import sys

from local.state import Stack


def read_mail(stack: Stack) -> None:
    """Take all mails out of the local mailbox and print them."""
    sqs, mailbox = stack.client("sqs"), stack.mailbox_queue_url
    shown = 0
    while messages := sqs.receive_message(QueueUrl=mailbox, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            mail = json.loads(message["Body"])
            sys.stdout.write(f"Subject: {mail['Subject']}\n\n{mail['Message']}\n{'=' * 40}\n")
            sqs.delete_message(QueueUrl=mailbox, ReceiptHandle=message["ReceiptHandle"])
        shown += len(messages)
    if not shown:
        sys.stdout.write("No new mail. Tickets that can wait come with the next digest.\n")
