"""The mail topic: SNS mails what is published to it to people."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from support.aws.errors import translated
from support.domain.errors import NotifyRejected, NotifyUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

    from support.domain.mail import Mail

SECONDS_PER_MAIL = 1.0


class MailTopic:
    """The SNS topic that people's e-mail addresses subscribe to.

    SNS suspends an e-mail subscription that gets more than 10 messages a second, so `publish` takes at least
    `SECONDS_PER_MAIL`: however much there is to tell, it is at most one mail a second for each function that
    runs at the time, and how many run is limited in template.yaml.
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
        """Publish a mail, then wait. It is not published while fewer than `min_subscriptions` would get it.

        Raises:
            NotifyUnavailable: a repeat may succeed, such as when the subscription is confirmed.
            NotifyRejected: a repeat cannot succeed.
        """
        if self.confirmed_subscriptions() < self._min_subscriptions:
            raise NotifyUnavailable("The subscription to the mail topic is not confirmed, or was lost.")
        try:
            with translated(unavailable=NotifyUnavailable, rejected=NotifyRejected):
                self._client.publish(TopicArn=self._arn, Subject=mail.subject, Message=mail.text)
        finally:
            # After a failure, too: SNS may have sent a mail though its answer was lost.
            self._sleep(SECONDS_PER_MAIL)

    def confirmed_subscriptions(self) -> int:
        """How many subscribers there are; SNS makes a subscription that it suspends unconfirmed again.

        Raises:
            NotifyUnavailable: a repeat may succeed.
            NotifyRejected: a repeat cannot succeed.
        """
        with translated(unavailable=NotifyUnavailable, rejected=NotifyRejected):
            attributes = self._client.get_topic_attributes(TopicArn=self._arn)["Attributes"]
        return int(attributes["SubscriptionsConfirmed"])
