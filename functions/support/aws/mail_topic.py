"""The mail topic: SNS sends its messages to people by e-mail."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from support.aws.error_translation import translate_errors
from support.domain.errors import NotifyRejected, NotifyUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

    from support.domain.mail_text import Mail

SECONDS_PER_MAIL = 1.0


class MailTopic:
    """The SNS topic that people's e-mail addresses subscribe to.

    SNS suspends an e-mail subscription that gets more than 10 messages per second. `publish` takes at least
    `SECONDS_PER_MAIL`, so each concurrent function sends at most one mail per second; template.yaml limits
    their concurrency.
    """

    def __init__(
        self,
        client: SNSClient,
        arn: str,
        *,
        min_subscriptions: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._arn = arn
        self._min_subscriptions = min_subscriptions
        self._sleep = sleep

    @property
    def name(self) -> str:
        """The topic's name."""
        return self._arn.rpartition(":")[2]

    def publish(self, mail: Mail) -> None:
        """Publish a mail, then pause; refuse to publish with fewer than `min_subscriptions` confirmed.

        Raises:
            NotifyUnavailable: a retry may succeed, for example when the subscription is confirmed.
            NotifyRejected: a retry cannot succeed.
        """
        if self.confirmed_subscriptions() < self._min_subscriptions:
            raise NotifyUnavailable("The subscription to the mail topic is not confirmed, or was lost.")
        try:
            with translate_errors(unavailable=NotifyUnavailable, rejected=NotifyRejected):
                self._client.publish(TopicArn=self._arn, Subject=mail.subject, Message=mail.text)
        finally:
            # Also after an error: SNS may have sent the mail although its response was lost.
            self._sleep(SECONDS_PER_MAIL)

    def confirmed_subscriptions(self) -> int:
        """The number of confirmed subscriptions; a subscription that SNS suspends is no longer confirmed.

        Raises:
            NotifyUnavailable: a retry may succeed.
            NotifyRejected: a retry cannot succeed.
        """
        with translate_errors(unavailable=NotifyUnavailable, rejected=NotifyRejected):
            attributes = self._client.get_topic_attributes(TopicArn=self._arn)["Attributes"]
        return int(attributes["SubscriptionsConfirmed"])
