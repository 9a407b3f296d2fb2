"""The API refuses invalid requests with a clear reason, and starts and stores nothing."""

import base64
import json
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from local.processes import wait_for
from tests.helpers.running_stack import RunningStack

EVENTS = Path(__file__).parents[2] / "events" / "api"
BAD = sorted(
    path.stem for path in EVENTS.glob("*.json") if json.loads(path.read_text())["response"]["status"] != 202
)
GOOD = sorted(path.stem for path in EVENTS.glob("*.json") if path.stem not in BAD)


def send(stack: RunningStack, case: str) -> Any:
    request = json.loads((EVENTS / f"{case}.json").read_text())["request"]
    files = {"customer": "token", "agent": "agent-token"}
    token = {"Authorization": f"Bearer {stack.token(files[request['token']])}"} if request["token"] else {}
    return stack.http.request(
        request["method"],
        request["path"],
        content=request["body"].encode(),
        headers=request["headers"] | token,
    )


def expected(case: str) -> int:
    return int(json.loads((EVENTS / f"{case}.json").read_text())["response"]["status"])


@pytest.mark.parametrize("case", BAD)
def test_an_invalid_request_gets_a_reason_and_starts_nothing(stack: RunningStack, case: str) -> None:
    before = (len(stack.executions()), stack.stored())

    answer = send(stack, case)

    assert answer.status_code == expected(case), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"].startswith("urn:support-pipeline:")
    assert answer.json()["status"] == expected(case)
    assert answer.json()["detail"]
    assert "arn:" not in answer.text
    assert "amazon" not in answer.text.lower()
    assert (len(stack.executions()), stack.stored()) == before


@pytest.mark.parametrize("case", GOOD)
def test_a_valid_request_is_accepted(stack: RunningStack, case: str) -> None:
    assert send(stack, case).status_code == 202


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "content"),
        ({"content": "x", "urgency": "CRITICAL"}, "urgency"),
        ({"content": "x" * 8001}, "8001"),
        ({"content": "x", "subject": "x" * 201}, "201"),
        ({"content": 5}, "integer"),
        ({"content": ""}, "content (a string of 1 to 8000 characters)"),
    ],
)
def test_a_refusal_says_what_is_wrong(stack: RunningStack, body: dict[str, Any], said: str) -> None:
    answer = stack.post(body)

    assert answer.status_code == 400
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "rest", "body", "said"),
    [
        ("PATCH", "", {"version": 1, "status": "DONE"}, "status must be one of IN_PROGRESS, COMPLETED."),
        ("PATCH", "", {"status": "COMPLETED"}, "version is missing: it must be an integer from 1"),
        (
            "PATCH",
            "",
            {"version": 1, "urgency": "SOON"},
            "urgency must be one of LOW, MEDIUM, HIGH, CRITICAL.",
        ),
        ("PATCH", "", {"version": 1, "text": "x"}, "'text' is not allowed: the fields are version, status,"),
        ("POST", "/reply", {"version": 1, "text": ""}, "text must be a string of 1 to 4000 characters."),
        ("POST", "/feedback", {"rating": 6}, "rating must be an integer from 1 to 5."),
        ("GET", "?limit=0", None, "limit must be an integer from 1 to 100."),
        (
            "GET",
            "?status=DONE",
            None,
            "status must be one of RECEIVED, PROCESSED, IN_PROGRESS, COMPLETED, FAILED.",
        ),
    ],
)
def test_a_refusal_names_the_field_and_what_it_may_be(
    stack: RunningStack, method: str, rest: str, body: Any, said: str
) -> None:
    path = "/tickets" if method == "GET" else f"/tickets/{uuid.uuid4()}"
    headers = {"Authorization": f"Bearer {stack.token('agent-token')}"}

    answer = stack.http.request(method, path + rest, json=body, headers=headers)

    assert (answer.status_code, answer.json()["type"]) == (400, "urn:support-pipeline:invalid-request")
    assert said in answer.json()["detail"]


def forged(token: str) -> str:
    head, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["cognito:groups"] = ["admins"]
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{head}.{changed}.{signature}"


def unsigned(token: str) -> str:
    _, payload, _ = token.split(".")
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    return f"{head}.{payload}."


@pytest.mark.parametrize("forge", [forged, unsigned, lambda _: "nonsense", lambda token: token[:-8]])
def test_a_forged_token_is_refused(stack: RunningStack, forge: Any) -> None:
    before = (len(stack.executions()), stack.stored())

    for answer in (
        stack.post({"content": "x"}, token=forge(stack.token())),
        stack.get("x", token=forge(stack.token())),
    ):
        assert answer.status_code == 401
        assert answer.json()["type"] == "urn:support-pipeline:unauthenticated"
    assert (len(stack.executions()), stack.stored()) == before


def test_an_expired_token_is_refused(stack: RunningStack) -> None:
    client = stack.stack.client("cognito-idp").create_user_pool_client(
        UserPoolId=stack.stack.user_pool_id,
        ClientName="short-lived",
        ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        IdTokenValidity=1,
        TokenValidityUnits={"IdToken": "seconds"},
    )["UserPoolClient"]
    token = stack.new_customer(client["ClientId"])
    expires = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))["exp"]
    assert wait_for(lambda: time.time() > expires + 1, 10)

    answer = stack.post({"content": "x"}, token=token)

    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:support-pipeline:unauthenticated"


@pytest.mark.parametrize("kind", ["AccessToken", "RefreshToken"])
def test_only_an_id_token_is_accepted(stack: RunningStack, kind: str) -> None:
    token = stack.new_customer(kind=kind)

    answer = stack.post({"content": "x"}, token=token)

    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:support-pipeline:unauthenticated"


def test_a_body_above_ten_megabytes_gets_api_gateways_own_response(stack: RunningStack) -> None:
    answer = stack.post({"content": "x" * 10_500_000})

    assert (answer.status_code, answer.json()) == (413, {"message": "Request Too Long"})


def test_a_body_that_is_too_large_for_lambda_gets_api_gateways_own_answer(stack: RunningStack) -> None:
    headers = {"Authorization": f"Bearer {stack.token('agent-token')}"}

    answer = stack.http.patch("/tickets/x", json={"assignee": "x" * 6_300_000}, headers=headers)

    assert (answer.status_code, answer.json()) == (413, {"message": "Request Too Long"})


def test_the_access_log_has_a_line_for_every_request_and_no_secrets(stack: RunningStack) -> None:
    agent = f'"{uuid.uuid4()}\\'  # these characters would end a string if they were not escaped
    answers = [
        stack.post({"content": "a secret word"}, **{"User-Agent": agent}),
        stack.http.get("/tickets?cursor=a-secret-word", headers={"User-Agent": agent}),
        stack.post({"secret": 1}, **{"User-Agent": agent}),
        stack.http.post("/service/support-request", json={}, headers={"User-Agent": agent}),
        stack.http.get("/secret", headers={"User-Agent": agent}),
    ]
    lines: list[dict[str, str]] = []

    def logged() -> bool:
        group = f"/aws/apigateway/{stack.stack.stack_name}-access"
        pages = stack.stack.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        found = [json.loads(event["message"]) for page in pages for event in page["events"]]
        lines[:] = [line for line in found if line["userAgent"] == agent]
        return len(lines) == len(answers)

    assert wait_for(logged, 10)
    assert [(line["method"], line["resourcePath"], line["status"], line["errorType"]) for line in lines] == [
        ("POST", "/support-request", "202", "-"),
        ("GET", "/tickets", "401", "UNAUTHORIZED"),
        ("POST", "/support-request", "400", "BAD_REQUEST_BODY"),
        ("POST", "/service/support-request", "403", "MISSING_AUTHENTICATION_TOKEN"),
        ("GET", "/{proxy+}", "404", "-"),
    ]
    assert [line["requestId"] for line in lines] == [a.headers["x-amzn-requestid"] for a in answers]
    assert not [secret for secret in ("secret", stack.token()) if secret in str(lines)]


def test_a_customer_cannot_replace_another_customers_ticket_by_its_id(stack: RunningStack) -> None:
    ticket_id = stack.submit({"content": "I cannot sign in."})
    before = stack.outcome(ticket_id)
    stranger = stack.new_customer()

    assert (
        stack.post({"content": "Mine now."}, token=stranger, **{"Idempotency-Key": ticket_id}).status_code
        == 202
    )

    (own,) = notified_tickets(stack, stranger, 1)
    assert own["idempotencyKey"] == ticket_id != own["ticketId"]
    assert stack.get(own["ticketId"], token=stranger).json()["content"] == "Mine now."
    assert stack.get(ticket_id, token=stranger).status_code == 404
    assert stack.get(ticket_id).json() == before


def test_different_requests_with_the_same_key_become_different_tickets_and_none_fails(
    stack: RunningStack,
) -> None:
    customer, key = stack.new_customer(), str(uuid.uuid4())

    for _ in range(2):
        for number in range(20):
            body = {"content": f"Parcel {number} has not arrived."}
            assert stack.post(body, token=customer, **{"Idempotency-Key": key}).status_code == 202
        tickets = notified_tickets(stack, customer, 20)
        assert wait_for(lambda: all(one["status"] != "RUNNING" for one in stack.executions()), 60)

    assert {ticket["status"] for ticket in tickets} == {"PROCESSED"}
    assert [ticket.get("idempotencyKey", key) for ticket in tickets] == [key] * 20
    notified = Counter(json.loads(message["Body"])["ticketId"] for message in stack.notifications())
    assert [notified[ticket["ticketId"]] for ticket in tickets] == [1] * 20
    assert stack.failures() == []


def notified_tickets(stack: RunningStack, customer: str, count: int) -> list[dict[str, Any]]:
    """All tickets of a customer, when there are `count` of them and each has its notification."""
    tickets: list[dict[str, Any]] = []

    def ended() -> bool:
        page = stack.http.get("/tickets?limit=100", headers={"Authorization": f"Bearer {customer}"}).json()
        ids = [ticket["ticketId"] for ticket in page["tickets"]]
        tickets[:] = [stack.get(ticket_id, token=customer).json() for ticket_id in ids]
        return len(tickets) == count and all("notifiedAt" in ticket for ticket in tickets)

    assert wait_for(ended, 60), tickets
    return tickets
