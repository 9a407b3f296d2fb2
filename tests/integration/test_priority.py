"""Priority on the running stack: a service's ticket with priority does not wait behind other tickets."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from local.processes import wait_for
from tests.helpers.running_stack import RunningStack

CONTENT = {"content": "Every payment has failed since noon."}
FROM_SERVICE = {**CONTENT, "customerId": "customer-4711"}
PATH = "/service/support-request"


def read(stack: RunningStack, ticket_id: str) -> dict[str, Any]:
    return dict(stack.get(ticket_id, token=stack.token("agent-token")).json())


def submit_as_service(stack: RunningStack, **more: str) -> str:
    answer = stack.send_as_service("POST", PATH, FROM_SERVICE | more)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["ticketId"])


@contextmanager
def backlog(stack: RunningStack) -> Iterator[None]:
    """Stop the consumer of tickets without priority, as if a long backlog came first."""
    client = stack.stack.client("lambda")
    (mapping,) = [
        one["UUID"]
        for one in client.list_event_source_mappings()["EventSourceMappings"]
        if one["EventSourceArn"].rpartition(":")[2] == stack.stack.waiting_room_url.rpartition("/")[2]
    ]
    client.update_event_source_mapping(UUID=mapping, Enabled=False)
    yield
    client.update_event_source_mapping(UUID=mapping, Enabled=True)


def test_a_ticket_with_priority_does_not_wait_behind_other_tickets(stack: RunningStack) -> None:
    with backlog(stack):
        stack.fail_model(throttle=1.0)
        others = [submit_as_service(stack), stack.submit(CONTENT)]
        urgent = submit_as_service(stack, priority="high")
        waiting = [*others, urgent]
        assert wait_for(lambda: all("waitingSince" in read(stack, one) for one in waiting), 60)
        stack.fail_model()

        ticket = stack.outcome(urgent, token=stack.token("agent-token"))

        assert (ticket["status"], ticket["priority"]) == ("PROCESSED", "high")
        assert all(read(stack, one)["waitingFor"] == "ModelThrottled" for one in others)
    for ticket_id in others:
        assert stack.outcome(ticket_id, token=stack.token("agent-token"))["status"] == "PROCESSED"


def test_an_invalid_priority_and_any_priority_from_users_is_refused(stack: RunningStack) -> None:
    for priority in ("normal", "HIGH", "", None, 1):
        assert stack.send_as_service("POST", PATH, FROM_SERVICE | {"priority": priority}).status_code == 400
    for token in ("token", "agent-token", "admin-token"):
        answer = stack.post(CONTENT | {"priority": "high"}, token=stack.token(token))
        assert answer.status_code == 400
