"""The dead-letter queues of SNS subscriptions to queues.

When SNS cannot deliver a message because the queue is missing or its policy does not allow it, SNS sends the
message to the dead-letter queue in the subscription's `RedrivePolicy`, without a retry. The emulator stores
the policy and drops the message.

Source: SNS developer guide, "Amazon SNS dead-letter queues" and "Message delivery retries".
"""

import json
from collections.abc import Callable
from typing import Any

from ministack.core.responses import get_account_id
from ministack.services import sns, sqs

from devtools.emulator import patch


def install() -> None:
    """Extend the emulator."""
    patch.wrap(sns, "_deliver_to_sqs", _deliver_to_sqs)


def _deliver_to_sqs(original: Callable[..., None], endpoint: str, *args: Any, **options: Any) -> None:
    topic = options["topic_arn"]
    if not _accepts(endpoint, topic):
        endpoint = _dead_letter_queue(topic, endpoint) or endpoint
    original(endpoint, *args, **options)


def _accepts(queue: str, topic: str) -> bool:
    return sqs._queue_by_arn(queue) is not None and sqs.queue_policy_allows(
        queue, "sns.amazonaws.com", topic, get_account_id()
    )


def _dead_letter_queue(topic: str, endpoint: str) -> str | None:
    for subscription in sns._topic_by_arn_any_scope(topic)["subscriptions"]:
        if subscription["endpoint"] == endpoint:
            policy = json.loads(subscription["attributes"].get("RedrivePolicy") or "{}")
            queue: str | None = policy.get("deadLetterTargetArn")
            return queue
    return None
