"""The metrics of queues in the namespace AWS/SQS.

AWS measures every queue once a minute. The emulator records no such metrics, so that an alarm on a queue
stays OK. This module measures ApproximateNumberOfMessagesVisible and ApproximateAgeOfOldestMessage whenever
the alarms are evaluated. Ages pass as fast as the periods of alarms (see alarms).

Source: SQS developer guide, "Available CloudWatch metrics for Amazon SQS".
"""

import time
from collections.abc import Callable
from typing import Any

from ministack.services import cloudwatch, sqs

from devtools.emulator import patch
from devtools.emulator.alarms import real_seconds

Json = dict[str, Any]

# The age leaves out messages that were received more often.
_MAX_RECEIVES = 3


def install() -> None:
    """Extend the emulator."""
    patch.wrap(cloudwatch, "_evaluate_all_alarms", _evaluate_all_alarms)


def _evaluate_all_alarms(original: Callable[[], None]) -> None:
    for queue in list(sqs._queues.values()):
        _measure(queue)
    original()


def _measure(queue: Json) -> None:
    now = time.time()
    visible = [message for message in queue["messages"] if message["visible_at"] <= now]
    sent = [message["sent_at"] for message in queue["messages"] if message["receive_count"] <= _MAX_RECEIVES]
    age = max(0.0, now - min(sent, default=now)) / real_seconds(1)
    dimensions = {"QueueName": queue["name"]}
    for name, value, unit in (
        ("ApproximateNumberOfMessagesVisible", len(visible), "Count"),
        ("ApproximateAgeOfOldestMessage", age, "Seconds"),
    ):
        cloudwatch.record_metric("AWS/SQS", name, value, unit, dimensions)
