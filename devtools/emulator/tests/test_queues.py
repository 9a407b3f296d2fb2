"""When the messages of a queue come: delays and visibility."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from devtools.emulator.tests.harness import Emulator, eventually

# Fails on a message that wants it, when it comes for the first time; copies what it got to another queue.
COPYING = """
import boto3, json

def handler(event, context):
    for record in event["Records"]:
        attributes = record["attributes"]
        if record["body"] == "fail" and attributes["ApproximateReceiveCount"] == "1":
            raise RuntimeError
        sent = int(attributes["SentTimestamp"])
        received = int(attributes["ApproximateFirstReceiveTimestamp"])
        count = attributes["ApproximateReceiveCount"]
        copy = {"body": record["body"], "count": count, "milliseconds": received - sent}
        boto3.client("sqs").send_message(QueueUrl="%s", MessageBody=json.dumps(copy))
"""


class Copied:
    """A queue whose messages a function copies to another."""

    def __init__(self, emulator: Emulator, **attributes: str) -> None:
        self.emulator = emulator
        self.url, arn = emulator.queue(**attributes)
        self._copies, _ = emulator.queue()
        emulator.consume(arn, emulator.function(COPYING % self._copies))

    def send(self, body: str, **settings: Any) -> None:
        self.emulator.client("sqs").send_message(QueueUrl=self.url, MessageBody=body, **settings)

    def copies(self, count: int) -> list[dict[str, Any]]:
        """So many copies, in the order of their arrival."""
        found: list[dict[str, Any]] = []
        client = self.emulator.client("sqs")

        def are_there() -> bool:
            answer = client.receive_message(QueueUrl=self._copies, MaxNumberOfMessages=10)
            for message in answer.get("Messages", []):
                found.append(json.loads(message["Body"]))
                client.delete_message(QueueUrl=self._copies, ReceiptHandle=message["ReceiptHandle"])
            return len(found) >= count

        eventually(are_there)
        return found


def test_a_message_comes_when_its_delay_is_over(emulator: Emulator) -> None:
    copied = Copied(emulator)
    copied.send("late", DelaySeconds=2)
    copied.send("early")
    early, late = copied.copies(2)
    assert (early["body"], late["body"]) == ("early", "late")
    assert late["milliseconds"] >= 2000


def test_a_message_that_failed_comes_again_after_the_visibility_timeout(emulator: Emulator) -> None:
    copied = Copied(emulator, VisibilityTimeout="1")
    copied.send("fail")
    (copy,) = copied.copies(1)
    assert copy["count"] == "2"


@pytest.mark.parametrize("delay", [-1, 901])
def test_a_delay_that_aws_refuses_is_refused(emulator: Emulator, delay: int) -> None:
    url, _ = emulator.queue()
    with pytest.raises(ClientError) as refused:
        emulator.client("sqs").send_message(QueueUrl=url, MessageBody="x", DelaySeconds=delay)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValue"


def sending(url: str, **parameters: Any) -> dict[str, Any]:
    """A machine that sends its input to a queue."""
    resource = "arn:aws:states:::sqs:sendMessage"
    parameters = {"QueueUrl": url, "MessageBody.$": "$", **parameters}
    state = {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}
    return {"StartAt": "Send", "States": {"Send": state}}


def test_a_state_may_compute_the_delay(emulator: Emulator) -> None:
    copied = Copied(emulator)
    delay = {"DelaySeconds.$": "States.MathRandom(2, 3)"}
    assert emulator.run(emulator.machine(sending(copied.url, **delay)), '"later"')["status"] == "SUCCEEDED"
    (copy,) = copied.copies(1)
    assert copy["milliseconds"] >= 2000


@pytest.mark.parametrize("delay", ["5", 1.5, True, None])
def test_the_delay_of_a_state_is_an_integer(emulator: Emulator, delay: Any) -> None:
    url, _ = emulator.queue()
    ended = emulator.run(emulator.machine(sending(url, DelaySeconds=delay)), '"x"')
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")
