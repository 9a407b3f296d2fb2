"""Alarms on a running stack: each goes off for its real cause, and is over when the cause is."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.processes import wait_for
from support.domain.ticket import timestamp
from tests.helpers.running_stack import RunningStack

SUBMISSION = json.loads((Path(__file__).parents[2] / "events" / "executions" / "billing.json").read_text())
TICKET = {"content": "I was charged twice."}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack whose alarms evaluate a minute in a second."""
    folder = tmp_path_factory.mktemp("watched") / "local"
    with RunningStack(folder, {"ALARM_MINUTE": "1"}) as stack:
        yield stack.wait_until_healthy()


@pytest.fixture(scope="module")
def inbox(watched: RunningStack) -> str:
    """The URL of a queue that receives what the alarms send."""
    sqs, sns = watched.stack.client("sqs"), watched.stack.client("sns")
    url: str = sqs.create_queue(QueueName="alarms")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = watched.stack.physical_id("AlarmTopic")
    allowed = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    return url


def on(stack: RunningStack) -> set[str]:
    """The alarms that are on, by logical id."""
    resources = stack.stack.client("cloudformation").describe_stack_resources(
        StackName=stack.stack.stack_name
    )["StackResources"]
    names = {resource["PhysicalResourceId"]: resource["LogicalResourceId"] for resource in resources}
    alarms = stack.stack.client("cloudwatch").describe_alarms(StateValue="ALARM")["MetricAlarms"]
    return {names[alarm["AlarmName"]] for alarm in alarms}


def went_on_and_off(stack: RunningStack, inbox: str, names: set[str]) -> bool:
    """Whether the topic received both messages of each alarm."""
    bodies = [json.loads(message["Body"]) for message in stack.messages(inbox, wait_seconds=1)]
    states = {(body["AlarmName"], body["NewStateValue"]) for body in bodies}
    physical = {stack.stack.physical_id(name) for name in names}
    return states >= {(name, state) for name in physical for state in ("ALARM", "OK")}


def test_failing_tickets_raise_alarms_that_end_with_them(watched: RunningStack, inbox: str) -> None:
    names = {
        "TicketsFailedAlarm", "FailedTicketsWaitingAlarm", "FailureRateAlarm", "ModelErrorRateAlarm",
    }  # fmt: skip
    assert wait_for(lambda: not on(watched), 30), on(watched)
    seen: set[str] = set()

    def all_went_on() -> bool:
        watched.submit(TICKET)
        seen.update(on(watched))
        return seen >= names

    watched.fail_model(deny=1.0)
    assert wait_for(all_went_on, 60), seen
    watched.fail_model()
    assert wait_for(watched.is_idle, 60)
    watched.failures()

    assert wait_for(lambda: not on(watched) & names, 60), on(watched)
    assert went_on_and_off(watched, inbox, names)


def test_a_stuck_ticket_raises_an_alarm_that_ends_after_the_sweep(watched: RunningStack, inbox: str) -> None:
    def invoke(function: str, payload: Any) -> None:
        assert "FunctionError" not in watched.stack.invoke(function, json.dumps(payload).encode())

    ticket_id = str(uuid.uuid4())
    submission = SUBMISSION | {"ticketId": ticket_id, "caller": {"subject": "customer-7", "groups": ""}}
    run = {"execution": "vanished", "run": "arn:vanished", "enteredAt": "2026-01-31T12:00:00.000Z"}
    invoke("store", {**run, "submission": submission})
    watched.stack.client("dynamodb").update_item(
        TableName=watched.stack.tickets_table,
        Key={"ticketId": {"S": ticket_id}},
        UpdateExpression="SET pendingSince = :ago, leasedUntil = :ago",
        ExpressionAttributeValues={":ago": {"S": timestamp(datetime.now(UTC) - timedelta(hours=1))}},
    )

    invoke("sweep", {})

    assert wait_for(lambda: "TicketsStuckAlarm" in on(watched), 20), on(watched)
    assert wait_for(lambda: "TicketsStuckAlarm" not in on(watched), 30), on(watched)
    assert went_on_and_off(watched, inbox, {"TicketsStuckAlarm"})
