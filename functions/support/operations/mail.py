"""Mail: tells the team at once about tickets that cannot wait, within SNS's limit for e-mail."""

import os
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws import clients
from support.aws.mail_topic import MailTopic
from support.aws.telemetry import logger
from support.domain.mail import immediate

TOPIC = MailTopic(
    clients.sns(), os.environ["MAIL_TOPIC_ARN"], min_subscriptions=int(os.environ["MIN_MAIL_SUBSCRIPTIONS"])
)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Send one mail about all announcements in the batch.

    Either the mail is sent and Lambda deletes them all, or the batch fails and they all come again.

    Raises: NotifyUnavailable, NotifyRejected.
    """
    documents = [record["body"] for record in event["Records"]]
    if not documents:
        return
    TOPIC.publish(immediate(documents))
    logger.info("tickets mailed", tickets=len(documents))
