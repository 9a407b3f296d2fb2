"""The sweep on the running stack: what no Catch can see is started again, and given up loudly."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.processes import wait_for
from support.domain.ticket import timestamp

SUBMISSION = json.loads((Path(__file__).parents[2] / "events" / "executions" / "billing.json").read_text())


def invoke(stack: Any, function: str, payload: Any) -> Any:
    answer = stack.stack.invoke(function, json.dumps(payload).encode())
    assert "FunctionError" not in answer
    return json.loads(answer["Payload"].read())


@pytest.fixture
def stuck(stack: Any) -> str:
    """The id of a ticket that was stored, and whose execution then vanished."""
    ticket_id = str(uuid.uuid4())
    submission = SUBMISSION | {"ticketId": ticket_id, "caller": {"subject": "customer-7", "groups": ""}}
    invoke(stack, "store", {"execution": "vanished", "submission": submission})
    return ticket_id


def read(stack: Any, ticket_id: str) -> dict[str, Any]:
    return dict(stack.get(ticket_id, token=stack.token("agent-token")).json())


def sweep(stack: Any, ticket_id: str) -> dict[str, int]:
    """What the deployed sweep does when the ticket has been pending for an hour."""
    stack.stack.client("dynamodb").update_item(
        TableName=stack.stack.tickets_table,
        Key={"ticketId": {"S": ticket_id}},
        UpdateExpression="SET pendingSince = :hourAgo",
        ConditionExpression="attribute_exists(pendingSince)",
        ExpressionAttributeValues={":hourAgo": {"S": timestamp(datetime.now(UTC) - timedelta(hours=1))}},
    )
    return dict(invoke(stack, "sweep", {}))


def test_a_stuck_ticket_is_swept_processed_and_announced(stack: Any, stuck: str) -> None:
    assert sweep(stack, stuck)["restarted"] == 1

    assert wait_for(lambda: "notifiedAt" in read(stack, stuck), 30)
    ticket = read(stack, stuck)
    assert (ticket["status"], ticket["attempts"], ticket["sweeps"]) == ("PROCESSED", 2, 1)
    assert [attempt["execution"] for attempt in ticket["history"]] == [f"{stuck}-s2"]
    assert len([a for a in stack.announcements() if json.loads(a["Body"])["ticketId"] == stuck]) == 1


def test_a_ticket_whose_executions_are_aborted_is_given_up_after_three_sweeps(stack: Any, stuck: str) -> None:
    stack.fail_model(slow=1.0)
    for number in (2, 3, 4):
        assert sweep(stack, stuck)["restarted"] == 1
        abort(stack, f"{stuck}-s{number}")

    assert sweep(stack, stuck)["given_up"] == 1
    ticket = read(stack, stuck)
    (failure,) = [f for f in stack.failures() if f["input"]["ticketId"] == stuck]
    assert (ticket["status"], ticket["failure"]["error"]) == ("FAILED", "TicketStuck")
    assert failure["error"] == "TicketStuck"
    assert failure["input"]["request"]["content"] == SUBMISSION["request"]["content"]


def abort(stack: Any, name: str) -> None:
    client = stack.stack.client("stepfunctions")
    (arn,) = [execution["executionArn"] for execution in stack.executions() if execution["name"] == name]
    client.stop_execution(executionArn=arn)


def test_broken_items_are_set_aside_once_and_a_stuck_ticket_behind_them_is_swept(
    stack: Any, stuck: str
) -> None:
    broken = [f"broken-{number}" for number in range(30)]
    for ticket_id in broken:
        break_copy(stack, stuck, ticket_id)

    first, second = sweep(stack, stuck), invoke(stack, "sweep", {})

    told = [failure for failure in stack.failures() if failure["error"] == "TicketUnreadable"]
    assert (first["restarted"], first["set_aside"], second["set_aside"]) == (1, 30, 0)
    assert sorted(failure["input"]["ticketId"] for failure in told) == sorted(broken)
    assert wait_for(lambda: "notifiedAt" in read(stack, stuck), 30)
    agent = {"Authorization": f"Bearer {stack.token('agent-token')}"}
    listed = stack.http.get("/tickets?limit=100", headers=agent)
    assert listed.status_code == 200
    assert not {ticket["ticketId"] for ticket in listed.json()["tickets"]} & set(broken)


def break_copy(stack: Any, ticket_id: str, copy_id: str) -> None:
    """Copy a ticket's item, with a date that the code does not write."""
    dynamodb, table = stack.stack.client("dynamodb"), stack.stack.tickets_table
    item = dynamodb.get_item(TableName=table, Key={"ticketId": {"S": ticket_id}})["Item"]
    broken = {"ticketId": {"S": copy_id}, "updatedAt": {"S": "now"}, "pendingSince": {"S": "2026-01-01"}}
    dynamodb.put_item(TableName=table, Item=item | broken)
