"""The sweep on the running stack: what no Catch can see is started again, and given up loudly."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.processes import wait_for

SUBMISSION = json.loads((Path(__file__).parents[2] / "events" / "executions" / "billing.json").read_text())


def invoke(stack: Any, function: str, payload: Any) -> Any:
    answer = stack.stack.invoke(function, json.dumps(payload).encode())
    assert "FunctionError" not in answer
    return json.loads(answer["Payload"].read())


@pytest.fixture
def sweep(stack: Any) -> Iterator[Callable[[], dict[str, int]]]:
    """The deployed sweep, for which a ticket is stuck after a second."""
    client, name = stack.stack.client("lambda"), stack.stack.function_name("sweep")
    before = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    client.update_function_configuration(
        FunctionName=name, Environment={"Variables": before | {"SWEEP_AFTER_SECONDS": "1"}}
    )
    yield lambda: dict(invoke(stack, "sweep", {}))
    client.update_function_configuration(FunctionName=name, Environment={"Variables": before})


@pytest.fixture
def stuck(stack: Any) -> str:
    """The id of a ticket that was stored, and whose execution then vanished."""
    ticket_id = str(uuid.uuid4())
    submission = SUBMISSION | {"ticketId": ticket_id, "caller": {"subject": "customer-7", "groups": ""}}
    invoke(stack, "store", {"execution": "vanished", "submission": submission})
    return ticket_id


def read(stack: Any, ticket_id: str) -> dict[str, Any]:
    return dict(stack.get(ticket_id, token=stack.token("agent-token")).json())


def swept(sweep: Callable[[], dict[str, int]], outcome: str) -> bool:
    """Whether a sweep, within seconds, had this outcome for a ticket."""
    return wait_for(lambda: sweep()[outcome] == 1, 15)


def test_a_stuck_ticket_is_swept_processed_and_announced(stack: Any, sweep: Any, stuck: str) -> None:
    assert swept(sweep, "restarted")

    assert wait_for(lambda: "notifiedAt" in read(stack, stuck), 30)
    ticket = read(stack, stuck)
    assert (ticket["status"], ticket["attempts"], ticket["sweeps"]) == ("PROCESSED", 2, 1)
    assert [attempt["execution"] for attempt in ticket["history"]] == [f"{stuck}-s2"]
    assert len([a for a in stack.announcements() if json.loads(a["Body"])["ticketId"] == stuck]) == 1


def test_a_ticket_whose_executions_are_aborted_is_given_up_after_three_sweeps(
    stack: Any, sweep: Any, stuck: str
) -> None:
    stack.fail_model(slow=1.0)
    for number in (2, 3, 4):
        assert swept(sweep, "restarted")
        abort(stack, f"{stuck}-s{number}")

    assert swept(sweep, "given_up")
    ticket = read(stack, stuck)
    (failure,) = [f for f in stack.failures() if f["input"]["ticketId"] == stuck]
    assert (ticket["status"], ticket["failure"]["error"]) == ("FAILED", "TicketStuck")
    assert failure["error"] == "TicketStuck"
    assert failure["input"]["request"]["content"] == SUBMISSION["request"]["content"]


def abort(stack: Any, name: str) -> None:
    client = stack.stack.client("stepfunctions")
    (arn,) = [execution["executionArn"] for execution in stack.executions() if execution["name"] == name]
    client.stop_execution(executionArn=arn)
