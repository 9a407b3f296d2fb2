"""The support topic: where processed tickets are announced."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from support.aws.errors import translated
from support.domain.errors import NotifyRejected, NotifyUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

    from support.domain.announcement import Announcement


class SupportTopic:
    """The SNS topic that the support team and its tools subscribe to."""

    def __init__(self, client: SNSClient, arn: str) -> None:
        self._client = client
        self._arn = arn

    def publish(self, announcement: Announcement) -> None:
        """Publish: e-mail subscribers get the readable text, all others the JSON document.

        Raises:
            NotifyUnavailable: a repeat may succeed.
            NotifyRejected: a repeat cannot succeed.
        """
        with translated(unavailable=NotifyUnavailable, rejected=NotifyRejected):
            self._client.publish(
                TopicArn=self._arn,
                Subject=announcement.subject,
                MessageStructure="json",
                Message=json.dumps(
                    {"default": announcement.document, "email": announcement.text}, ensure_ascii=False
                ),
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value}
                    for name, value in announcement.labels.items()
                },
            )
