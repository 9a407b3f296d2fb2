"""Who may send, delete and hide messages in batches (AUTH=true)."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from devtools.emulator.tests.harness import REGION, Emulator, running, unique

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "SendMessage": ("send_message_batch", {"MessageBody": "text"}),
    "DeleteMessage": ("delete_message_batch", {"ReceiptHandle": "unknown"}),
    "ChangeMessageVisibility": (
        "change_message_visibility_batch",
        {"ReceiptHandle": "unknown", "VisibilityTimeout": 5},
    ),
}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    settings = {"AUTH": "true", "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    with running(tmp_path_factory.mktemp("strict"), **settings) as emulator:
        yield emulator


def call_as_user(emulator: Emulator, operation: str, entry: dict[str, Any], allowed: str) -> None:
    """Make a batch call as a new user with one permission."""
    url = emulator.client("sqs").create_queue(QueueName=unique("queue"))["QueueUrl"]
    iam, name = emulator.client("iam"), unique("user")
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": f"sqs:{allowed}", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="sqs", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    sqs = boto3.client(
        "sqs",
        endpoint_url=emulator.url,
        region_name=REGION,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    getattr(sqs, operation)(QueueUrl=url, Entries=[{"Id": "1", **entry}])


@pytest.mark.parametrize("action", CALLS)
def test_a_batch_call_needs_the_permission_for_one_message(strict: Emulator, action: str) -> None:
    call_as_user(strict, *CALLS[action], allowed=action)


@pytest.mark.parametrize("action", CALLS)
def test_a_batch_call_without_it_is_denied(strict: Emulator, action: str) -> None:
    with pytest.raises(ClientError, match=f"not authorized to perform: sqs:{action} "):
        call_as_user(strict, *CALLS[action], allowed="ReceiveMessage")
