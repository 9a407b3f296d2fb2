"""SQS: when messages arrive, and who may send, delete and hide them in batches."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from devtools.emulator.tests.harness import Emulator, eventually, policy

# The handler copies each message to another queue. It fails when it first receives the message "fail".
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


class CopiedQueue:
    """A queue whose messages a function copies to another queue."""

    def __init__(self, emulator: Emulator, **attributes: str) -> None:
        self.emulator = emulator
        self.url, arn = emulator.create_queue(**attributes)
        self._copies, _ = emulator.create_queue()
        self.function = emulator.create_function(COPYING % self._copies)
        emulator.map_queue(arn, self.function)

    def send(self, body: str, **settings: Any) -> None:
        self.emulator.client("sqs").send_message(QueueUrl=self.url, MessageBody=body, **settings)

    def copies(self, count: int) -> list[dict[str, Any]]:
        """Wait for `count` copies; returns them in the order of their arrival."""
        received: list[dict[str, Any]] = []
        client = self.emulator.client("sqs")

        def are_all_received() -> bool:
            response = client.receive_message(QueueUrl=self._copies, MaxNumberOfMessages=10)
            for message in response.get("Messages", []):
                received.append(json.loads(message["Body"]))
                client.delete_message(QueueUrl=self._copies, ReceiptHandle=message["ReceiptHandle"])
            return len(received) >= count

        eventually(are_all_received)
        return received


# --- Delay and visibility ---


def test_a_message_arrives_after_its_delay(emulator: Emulator) -> None:
    queue = CopiedQueue(emulator)
    queue.send("late", DelaySeconds=2)
    queue.send("early")
    early, late = queue.copies(2)
    assert (early["body"], late["body"]) == ("early", "late")
    assert late["milliseconds"] >= 2000


def test_a_message_that_failed_arrives_again_after_the_visibility_timeout(emulator: Emulator) -> None:
    queue = CopiedQueue(emulator, VisibilityTimeout="1")
    # Starting a worker may take longer than the visibility timeout.
    emulator.invoke(queue.function, {"Records": []})

    queue.send("fail")

    (copy,) = queue.copies(1)
    assert copy["count"] == "2"


@pytest.mark.parametrize("delay", [-1, 901])
def test_a_delay_that_aws_refuses_is_refused(emulator: Emulator, delay: int) -> None:
    url, _ = emulator.create_queue()
    with pytest.raises(ClientError) as refused:
        emulator.client("sqs").send_message(QueueUrl=url, MessageBody="x", DelaySeconds=delay)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValue"


def sending(url: str, **parameters: Any) -> dict[str, Any]:
    """A state machine that sends its input to a queue."""
    resource = "arn:aws:states:::sqs:sendMessage"
    parameters = {"QueueUrl": url, "MessageBody.$": "$", **parameters}
    state = {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}
    return {"StartAt": "Send", "States": {"Send": state}}


def test_a_state_may_compute_the_delay(emulator: Emulator) -> None:
    queue = CopiedQueue(emulator)
    machine = emulator.create_state_machine(
        sending(queue.url, **{"DelaySeconds.$": "States.MathRandom(2, 3)"})
    )
    assert emulator.run(machine, '"later"')["status"] == "SUCCEEDED"
    (copy,) = queue.copies(1)
    assert copy["milliseconds"] >= 2000


@pytest.mark.parametrize("delay", ["5", 1.5, True, None])
def test_the_delay_in_a_state_must_be_an_integer(emulator: Emulator, delay: Any) -> None:
    url, _ = emulator.create_queue()
    ended = emulator.run(emulator.create_state_machine(sending(url, DelaySeconds=delay)), '"x"')
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")


# --- Permissions of batch calls ---

BATCH_CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "SendMessage": ("send_message_batch", {"MessageBody": "text"}),
    "DeleteMessage": ("delete_message_batch", {"ReceiptHandle": "unknown"}),
    "ChangeMessageVisibility": (
        "change_message_visibility_batch",
        {"ReceiptHandle": "unknown", "VisibilityTimeout": 5},
    ),
}


def call_as_user(emulator: Emulator, operation: str, entry: dict[str, Any], allowed: str) -> None:
    """Make a batch call as a new user with a single permission."""
    url, _ = emulator.create_queue()
    name, credentials = emulator.create_user()
    allow = policy({"Effect": "Allow", "Action": f"sqs:{allowed}", "Resource": "*"})
    emulator.client("iam").put_user_policy(UserName=name, PolicyName="sqs", PolicyDocument=allow)
    call = getattr(emulator.client("sqs", credentials), operation)
    call(QueueUrl=url, Entries=[{"Id": "1", **entry}])


@pytest.mark.parametrize("action", BATCH_CALLS)
def test_a_batch_call_requires_the_permission_for_a_single_message(
    authorizing_emulator: Emulator, action: str
) -> None:
    call_as_user(authorizing_emulator, *BATCH_CALLS[action], allowed=action)


@pytest.mark.parametrize("action", BATCH_CALLS)
def test_a_batch_call_without_that_permission_is_denied(authorizing_emulator: Emulator, action: str) -> None:
    with pytest.raises(ClientError, match=f"not authorized to perform: sqs:{action} "):
        call_as_user(authorizing_emulator, *BATCH_CALLS[action], allowed="ReceiveMessage")
