"""Mail: send mails about urgent tickets at once, within SNS's rate limit for e-mail."""

import os
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws import clients
from support.aws.mail_topic import MailTopic
from support.aws.telemetry import logger
from support.domain.mail_text import immediate_mail

TOPIC = MailTopic(
    clients.sns(), os.environ["MAIL_TOPIC_ARN"], min_subscriptions=int(os.environ["MIN_MAIL_SUBSCRIPTIONS"])
)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Send one mail about all notifications in the batch.

    Lambda deletes the whole batch when the mail was sent; otherwise SQS delivers the whole batch again.

    Raises: NotifyUnavailable, NotifyRejected.
    """
    documents = [record["body"] for record in event["Records"]]
    if not documents:
        return
    TOPIC.publish(immediate_mail(documents))
    logger.info("tickets mailed", tickets=len(documents))
