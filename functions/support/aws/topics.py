"""The SNS topics for processed and for failed tickets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from support.aws.error_translation import translate_errors
from support.domain.errors import NotifyRejected, NotifyUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

    from support.domain.notification import Notification
    from support.domain.ticket_types import Failure


class SupportTopic:
    """The SNS topic for processed tickets; the mail queues and the support team's tools subscribe to it."""

    def __init__(self, client: SNSClient, arn: str) -> None:
        self._client = client
        self._arn = arn

    def publish(self, notification: Notification) -> None:
        """Publish a notification with its attributes.

        Raises:
            NotifyUnavailable: a retry may succeed.
            NotifyRejected: a retry cannot succeed.
        """
        with translate_errors(unavailable=NotifyUnavailable, rejected=NotifyRejected):
            self._client.publish(
                TopicArn=self._arn,
                Subject=notification.subject,
                Message=notification.document,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value}
                    for name, value in notification.attributes.items()
                },
            )


class FailureTopic:
    """The SNS topic for failed tickets; the failed-tickets queue and the operators subscribe to it."""

    def __init__(self, client: SNSClient, arn: str) -> None:
        self._client = client
        self._arn = arn

    def publish(self, *, submission: Mapping[str, Any], execution: str, failure: Failure) -> None:
        """Publish a failure message in the format of the state machine's Publish Failure.

        Raises:
            NotifyUnavailable: a retry may succeed.
            NotifyRejected: a retry cannot succeed.
        """
        with translate_errors(unavailable=NotifyUnavailable, rejected=NotifyRejected):
            self._client.publish(
                TopicArn=self._arn,
                Subject="Support ticket failed",
                Message=json.dumps(
                    {"input": submission, "execution": execution, **failure}, ensure_ascii=False
                ),
                MessageAttributes={"error": {"DataType": "String", "StringValue": failure["error"]}},
            )
