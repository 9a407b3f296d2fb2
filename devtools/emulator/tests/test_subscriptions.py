"""SNS subscriptions of queues: what cannot be delivered goes to the dead-letter queue."""

import json
from typing import Any

import pytest

from devtools.emulator.tests.harness import Emulator, policy, unique

SNS = {"Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"}


class Subscription:
    """A topic with a subscribed queue and its dead-letter queue."""

    def __init__(self, emulator: Emulator, **queue_attributes: str) -> None:
        allowed = policy({"Effect": "Allow", **SNS})
        self._sqs, self._sns = emulator.client("sqs"), emulator.client("sns")
        self.queue, arn = emulator.create_queue(**queue_attributes)
        self.dead_letters, dead_letter_arn = emulator.create_queue(Policy=allowed)
        self._topic = self._sns.create_topic(Name=unique("topic"))["TopicArn"]
        redrive = json.dumps({"deadLetterTargetArn": dead_letter_arn})
        self._sns.subscribe(
            TopicArn=self._topic,
            Protocol="sqs",
            Endpoint=arn,
            Attributes={"RawMessageDelivery": "true", "RedrivePolicy": redrive},
        )

    def publish(self) -> None:
        attributes: Any = {"kind": {"DataType": "String", "StringValue": "test"}}
        self._sns.publish(TopicArn=self._topic, Message="hello", MessageAttributes=attributes)

    def received(self, queue: str) -> list[tuple[str, list[str]]]:
        messages = self._sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"]).get("Messages")
        return [(message["Body"], [*message["MessageAttributes"]]) for message in messages or []]


@pytest.mark.parametrize(("effect", "receiver"), [("Allow", "queue"), ("Deny", "dead_letters")])
def test_a_message_that_the_queues_policy_denies_goes_to_the_dead_letter_queue(
    authorizing_emulator: Emulator, effect: str, receiver: str
) -> None:
    subscription = Subscription(authorizing_emulator, Policy=policy({"Effect": effect, **SNS}))

    subscription.publish()

    expected = {"queue": [], "dead_letters": [], receiver: [("hello", ["kind"])]}
    assert {name: subscription.received(getattr(subscription, name)) for name in expected} == expected


def test_a_message_for_a_queue_that_is_gone_goes_to_the_dead_letter_queue(
    authorizing_emulator: Emulator,
) -> None:
    subscription = Subscription(authorizing_emulator)
    authorizing_emulator.client("sqs").delete_queue(QueueUrl=subscription.queue)

    subscription.publish()

    assert subscription.received(subscription.dead_letters) == [("hello", ["kind"])]
