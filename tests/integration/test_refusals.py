"""What the API refuses: with a clear word, with nothing started and nothing stored."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest

from local.processes import wait_for

EVENTS = Path(__file__).parents[2] / "events" / "api"
BAD = sorted(
    path.stem for path in EVENTS.glob("*.json") if json.loads(path.read_text())["response"]["status"] != 202
)
GOOD = sorted(path.stem for path in EVENTS.glob("*.json") if path.stem not in BAD)


def send(stack: Any, case: str) -> Any:
    request = json.loads((EVENTS / f"{case}.json").read_text())["request"]
    token = {"Authorization": f"Bearer {stack.token()}"} if request["token"] else {}
    return stack.http.request(
        request["method"],
        request["path"],
        content=request["body"].encode(),
        headers=request["headers"] | token,
    )


def expected(case: str) -> int:
    return int(json.loads((EVENTS / f"{case}.json").read_text())["response"]["status"])


@pytest.mark.parametrize("case", BAD)
def test_a_bad_request_is_refused_clearly_and_starts_nothing(stack: Any, case: str) -> None:
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
def test_a_good_request_is_accepted(stack: Any, case: str) -> None:
    assert send(stack, case).status_code == 202


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "content"),
        ({"content": "x", "urgency": "CRITICAL"}, "urgency"),
        ({"content": "x" * 8001}, "8001"),
        ({"content": "x", "subject": "x" * 201}, "201"),
        ({"content": 5}, "integer"),
    ],
)
def test_a_refusal_says_what_was_wrong(stack: Any, body: dict[str, Any], said: str) -> None:
    answer = stack.post(body)

    assert answer.status_code == 400
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
def test_a_forged_token_opens_nothing(stack: Any, forge: Any) -> None:
    before = (len(stack.executions()), stack.stored())

    for answer in (
        stack.post({"content": "x"}, token=forge(stack.token())),
        stack.get("x", token=forge(stack.token())),
    ):
        assert answer.status_code == 401
        assert answer.json()["type"] == "urn:support-pipeline:unauthenticated"
    assert (len(stack.executions()), stack.stored()) == before


def test_an_expired_token_opens_nothing(stack: Any) -> None:
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


def test_another_customers_ticket_cannot_be_replaced_by_its_id(stack: Any) -> None:
    ticket_id = stack.submit({"content": "I cannot sign in."})
    before = stack.outcome(ticket_id)
    stranger = stack.new_customer()

    assert (
        stack.post({"content": "Mine now."}, token=stranger, **{"Idempotency-Key": ticket_id}).status_code
        == 202
    )

    def ended() -> bool:
        return all(execution["status"] != "RUNNING" for execution in stack.executions()[:2])

    assert wait_for(ended, 30)
    assert [failure["error"] for failure in stack.failures()] == ["TicketConflict"]
    assert stack.get(ticket_id).json() == before
