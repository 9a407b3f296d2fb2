"""Checks every cell of the table in docs/security.md, Who may do what, on the running stack."""

import base64
import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.processes import wait_for
from tests.helpers.running_stack import RunningStack

GUIDE = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
ROLES = ("nobody", "customer", "agent", "admin", "service")
WHOSE = ("own", "other", "none")


def table() -> Iterator[tuple[str, str, str, int]]:
    """Endpoint, role, whose ticket, and the status in the guide."""
    for endpoint, cells in re.findall(r"^\| `((?:GET|POST|PATCH) [^`]+)` \|(.+)\|$", GUIDE, re.MULTILINE):
        for role, cell in zip(ROLES, cells.split("|"), strict=True):
            for whose, status in zip(WHOSE, cell.split("/"), strict=True):
                yield endpoint, role, whose, int(status)


CELLS = list(table())


@dataclass(frozen=True, slots=True)
class Actor:
    """A caller of the API: how it sends requests, and how it gets a failed ticket of its own."""

    send: Callable[[str, str, Any], httpx.Response]
    fail: Callable[[], str]
    customer_id: str


@dataclass(frozen=True, slots=True)
class Cast:
    """One actor for each role, and another customer whose tickets belong to none of them."""

    actors: dict[str, Actor]
    other: Actor


@pytest.fixture(scope="module")
def cast(running: RunningStack) -> Iterator[Cast]:
    """The actors. The model fails, so that there are tickets to replay."""
    running.fail_model(deny=1.0)
    other = signed_in(running, running.new_customer())
    yield Cast(
        {
            "nobody": Actor(lambda m, p, b: running.http.request(m, p, json=b), other.fail, "nobody"),
            "customer": signed_in(running, running.token()),
            "agent": signed_in(running, running.token("agent-token")),
            "admin": signed_in(running, running.token("admin-token")),
            "service": service(running),
        },
        other,
    )
    running.fail_model()


def signed_in(running: RunningStack, token: str) -> Actor:
    def send(method: str, path: str, body: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        answer: httpx.Response = running.http.request(method, path, json=body, headers=headers)
        return answer

    return Actor(send, lambda: failed_ticket(running, send, "/support-request", {}), subject(token))


def service(running: RunningStack) -> Actor:
    customer = {"customerId": "customer-4711"}
    send = running.send_as_service
    return Actor(
        send, lambda: failed_ticket(running, send, "/service/support-request", customer), "customer-4711"
    )


def failed_ticket(
    running: RunningStack, send: Callable[..., httpx.Response], path: str, who: dict[str, str]
) -> str:
    answer = send("POST", path, {"content": "It is broken."} | who)
    assert answer.status_code == 202, answer.text
    ticket_id = str(answer.json()["ticketId"])
    assert running.outcome(ticket_id, token=running.token("agent-token"))["status"] == "FAILED"
    return ticket_id


def subject(token: str) -> str:
    payload = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"])


def request(cast: Cast, endpoint: str, role: str, whose: str) -> tuple[str, str, Any]:
    """Method, path and body of the request for one cell."""
    method, path = endpoint.split(" ")
    owner = {"own": cast.actors[role], "other": cast.other, "none": None}[whose]
    if path.endswith("support-request"):
        named = {"customerId": owner.customer_id} if owner else {}
        return method, path, {"content": "It is broken."} | named
    if "{ticketId}" not in path:
        return method, path, None
    ticket_id = owner.fail() if owner else str(uuid.uuid4())
    path = path.replace("{ticketId}", ticket_id)
    if method == "PATCH":
        return method, path, {"version": version(cast, ticket_id), "assignee": "agent@example.com"}
    if path.endswith("reply"):
        return method, path, {"version": version(cast, ticket_id), "text": "We look into it."}
    return method, path, {"rating": 4} if path.endswith("feedback") else None


def version(cast: Cast, ticket_id: str) -> int:
    answer = cast.actors["admin"].send("GET", f"/tickets/{ticket_id}", None)
    return int(answer.json().get("version", 1))


@pytest.mark.parametrize(("endpoint", "role", "whose", "status"), CELLS)
def test_every_role_gets_the_status_in_the_guide(
    cast: Cast, endpoint: str, role: str, whose: str, status: int
) -> None:
    method, path, body = request(cast, endpoint, role, whose)

    answer = cast.actors[role].send(method, path, body)

    assert answer.status_code == status, answer.text
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status


def test_api_gateway_itself_requires_the_authorization_in_the_guide(running: RunningStack) -> None:
    """Service endpoints require a signature and a key, others a token; preflights and 404 require nothing."""
    client, (api, stage) = running.stack.client("apigateway"), running.stack.api_url.split("/")[-2:]
    deployed = {
        f"{name} {resource['path']}": (method["authorizationType"], bool(method.get("apiKeyRequired")))
        for page in client.get_paginator("get_resources").paginate(restApiId=api, embed=["methods"])
        for resource in page["items"]
        for name, method in resource.get("resourceMethods", {}).items()
    }
    for_services = {endpoint for endpoint, role, _, status in CELLS if role == "service" and status < 300}
    expected = {
        endpoint: ("AWS_IAM", True) if endpoint in for_services else ("COGNITO_USER_POOLS", False)
        for endpoint, *_ in CELLS
    }
    public = {name for name, needs in deployed.items() if needs == ("NONE", False)}

    assert {name: needs for name, needs in deployed.items() if name not in public} == expected
    assert {name for name in public if not name.startswith("OPTIONS ")} == {"ANY /", "ANY /{proxy+}"}
    assert [s["stageName"] for s in client.get_stages(restApiId=api)["item"]] == [stage]


def test_the_guide_lists_every_operation_of_the_contract() -> None:
    contract = (Path(__file__).parents[2] / "api" / "openapi.yaml").read_text()
    assert len({endpoint for endpoint, *_ in CELLS}) == len(re.findall(r"operationId:", contract))


@pytest.mark.parametrize("role", ["customer", "agent", "admin", "service"])
@pytest.mark.parametrize("named", ["own", "other"])
def test_only_staff_and_services_may_submit_a_ticket_for_another_customer(
    cast: Cast, role: str, named: str
) -> None:
    path = "/service/support-request" if role == "service" else "/support-request"
    method, path, body = request(cast, f"POST {path}", role, named)

    ticket_id = cast.actors[role].send(method, path, body).json()["ticketId"]

    own = role == "customer" or named == "own"
    expected = cast.actors[role].customer_id if own else cast.other.customer_id
    assert stored(cast, ticket_id)["customerId"] == expected


def test_another_customers_ticket_gets_the_same_response_as_a_missing_ticket(cast: Cast) -> None:
    customer = cast.actors["customer"]

    hidden = customer.send("GET", f"/tickets/{cast.other.fail()}", None)
    missing = customer.send("GET", f"/tickets/{uuid.uuid4()}", None)

    assert hidden.status_code == missing.status_code == 404
    assert hidden.json() == missing.json()


def test_customers_list_only_their_own_tickets_and_staff_list_all_tickets(cast: Cast) -> None:
    def listed(role: str) -> set[str]:
        page = cast.actors[role].send("GET", "/tickets?limit=100", None).json()
        return {ticket["customerId"] for ticket in page["tickets"]}

    own = cast.actors["customer"].customer_id
    assert listed("customer") == {own}
    assert listed("agent") >= {own, cast.other.customer_id, "customer-4711"}
    assert listed("admin") >= {own, cast.other.customer_id, "customer-4711"}


def stored(cast: Cast, ticket_id: str) -> dict[str, Any]:
    ticket: dict[str, Any] = {}

    def there() -> bool:
        answer = cast.actors["agent"].send("GET", f"/tickets/{ticket_id}", None)
        ticket.update(answer.json() if answer.status_code == 200 else {})
        return bool(ticket)

    assert wait_for(there, 30)
    return ticket
