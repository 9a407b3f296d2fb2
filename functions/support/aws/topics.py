"""The topics: where processed tickets are announced, and failed ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from support.aws.errors import translated
from support.domain.errors import NotifyRejected, NotifyUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

    from support.domain.announcement import Announcement
    from support.domain.ticket import Failure


class SupportTopic:
    """The SNS topic that machines subscribe to: the mails' queues and the support team's tools."""

    def __init__(self, client: SNSClient, arn: str) -> None:
        self._client = client
        self._arn = arn

    def publish(self, announcement: Announcement) -> None:
        """Publish the ticket with its labels.

        Raises:
            NotifyUnavailable: a repeat may succeed.
            NotifyRejected: a repeat cannot succeed.
        """
        with translated(unavailable=NotifyUnavailable, rejected=NotifyRejected):
            self._client.publish(
                TopicArn=self._arn,
                Subject=announcement.subject,
                Message=announcement.document,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value}
                    for name, value in announcement.labels.items()
                },
            )


class FailureTopic:
    """The SNS topic that the failed-tickets queue and the operators subscribe to."""

    def __init__(self, client: SNSClient, arn: str) -> None:
        self._client = client
        self._arn = arn

    def publish(self, *, submission: Mapping[str, Any], execution: str, failure: Failure) -> None:
        """Publish a failure message, in the form that the state machine publishes it.

        Raises:
            NotifyUnavailable: a repeat may succeed.
            NotifyRejected: a repeat cannot succeed.
        """
        with translated(unavailable=NotifyUnavailable, rejected=NotifyRejected):
            self._client.publish(
                TopicArn=self._arn,
                Subject="Support ticket failed",
                Message=json.dumps(
                    {"input": submission, "execution": execution, **failure}, ensure_ascii=False
                ),
                MessageAttributes={"error": {"DataType": "String", "StringValue": failure["error"]}},
            )
