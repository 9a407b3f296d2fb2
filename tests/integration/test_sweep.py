"""The sweep on the running stack: it restarts stuck tickets and fails those that waited too long."""

import json
import re
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.processes import wait_for
from support.domain.ticket import timestamp
from tests.helpers.running_stack import RunningStack

SUBMISSION = json.loads((Path(__file__).parents[2] / "events" / "executions" / "billing.json").read_text())


def invoke(stack: RunningStack, function: str, payload: Any) -> Any:
    answer = stack.stack.invoke(function, json.dumps(payload).encode())
    assert "FunctionError" not in answer
    return json.loads(answer["Payload"].read())


@pytest.fixture
def stuck(stack: RunningStack) -> str:
    """The id of a ticket that was stored before its execution vanished."""
    ticket_id = str(uuid.uuid4())
    submission = SUBMISSION | {"ticketId": ticket_id, "caller": {"subject": "customer-7", "groups": ""}}
    run = {"execution": "vanished", "run": "arn:vanished", "enteredAt": "2026-01-31T12:00:00.000Z"}
    invoke(stack, "store", {**run, "submission": submission})
    return ticket_id


def read(stack: RunningStack, ticket_id: str) -> dict[str, Any]:
    return dict(stack.get(ticket_id, token=stack.token("agent-token")).json())


def sweep(stack: RunningStack, ticket_id: str) -> dict[str, int]:
    """Run the deployed sweep as if the ticket had been pending for an hour and its lease had ended."""
    stack.backdate(ticket_id, timedelta(hours=1), "pendingSince", "leasedUntil")
    return dict(invoke(stack, "sweep", {}))


def test_a_stuck_ticket_is_swept_processed_and_notified(stack: RunningStack, stuck: str) -> None:
    assert sweep(stack, stuck)["swept"] == 1
    assert invoke(stack, "sweep", {})["swept"] == 0

    assert wait_for(lambda: "notifiedAt" in read(stack, stuck), 60)
    ticket = read(stack, stuck)
    assert (ticket["status"], ticket["attempts"]) == ("PROCESSED", 2)
    assert re.fullmatch(f"{stuck}-r[0-9a-f]{{8}}", ticket["history"][0]["execution"])
    assert not {"waitingSince", "waitingFor", "leasedBy", "leasedUntil"} & ticket.keys()
    assert len([n for n in stack.notifications() if json.loads(n["Body"])["ticketId"] == stuck]) == 1


def test_a_ticket_that_an_execution_is_processing_is_not_swept(stack: RunningStack, stuck: str) -> None:
    stack.backdate(stuck, timedelta(hours=1), "pendingSince")

    assert invoke(stack, "sweep", {})["swept"] == 0

    stack.backdate(stuck, timedelta(hours=1), "leasedUntil")
    assert invoke(stack, "sweep", {})["swept"] == 1
    assert wait_for(lambda: "notifiedAt" in read(stack, stuck), 60)


def test_a_ticket_that_waited_too_long_and_whose_message_was_lost_fails(
    stack: RunningStack, stuck: str
) -> None:
    stack.backdate(stuck, timedelta(hours=1), "pendingSince", "leasedUntil")
    waits_since(stack, stuck, timedelta(hours=26))

    assert invoke(stack, "sweep", {})["swept"] == 1

    assert wait_for(lambda: read(stack, stuck)["status"] == "FAILED", 60)
    ticket = read(stack, stuck)
    (failure,) = [f for f in stack.failures() if f["input"]["ticketId"] == stuck]
    assert (ticket["failure"]["error"], failure["error"]) == ("WaitedTooLong", "WaitedTooLong")
    assert failure["input"]["request"]["content"] == SUBMISSION["request"]["content"]
    assert "waitingSince" not in ticket


def waits_since(stack: RunningStack, ticket_id: str, ago: timedelta) -> None:
    stack.stack.client("dynamodb").update_item(
        TableName=stack.stack.tickets_table,
        Key={"ticketId": {"S": ticket_id}},
        UpdateExpression="SET waitingSince = :since, waitingFor = :error",
        ExpressionAttributeValues={
            ":since": {"S": timestamp(datetime.now(UTC) - ago)},
            ":error": {"S": "ModelThrottled"},
        },
    )


def test_unreadable_items_are_set_aside_once_and_do_not_hold_up_a_stuck_ticket(
    stack: RunningStack, stuck: str
) -> None:
    broken = [f"broken-{number}" for number in range(30)]
    for ticket_id in broken:
        break_copy(stack, stuck, ticket_id)

    first, second = sweep(stack, stuck), invoke(stack, "sweep", {})

    failures = [failure for failure in stack.failures() if failure["error"] == "TicketUnreadable"]
    assert (first["swept"], first["set_aside"], second["set_aside"]) == (1, 30, 0)
    assert sorted(failure["input"]["ticketId"] for failure in failures) == sorted(broken)
    assert wait_for(lambda: "notifiedAt" in read(stack, stuck), 60)
    agent = {"Authorization": f"Bearer {stack.token('agent-token')}"}
    listed = stack.http.get("/tickets?limit=100", headers=agent)
    assert listed.status_code == 200
    assert not {ticket["ticketId"] for ticket in listed.json()["tickets"]} & set(broken)


def break_copy(stack: RunningStack, ticket_id: str, copy_id: str) -> None:
    """Copy a ticket's item, with an invalid date."""
    dynamodb, table = stack.stack.client("dynamodb"), stack.stack.tickets_table
    item = dynamodb.get_item(TableName=table, Key={"ticketId": {"S": ticket_id}})["Item"]
    broken = {"ticketId": {"S": copy_id}, "updatedAt": {"S": "now"}, "pendingSince": {"S": "2026-01-01"}}
    dynamodb.put_item(TableName=table, Item=item | broken)
