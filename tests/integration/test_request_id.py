"""A client that chooses its request id (`x-amzn-RequestId`) can forge no input and change no ticket."""

import base64
import json
import re
import socket
from typing import Any

import httpx
import pytest

from local.processes import wait_for
from tests.helpers.running_stack import RunningStack

SUBMISSION = {"content": "I cannot sign in."}


def subject(token: str) -> str:
    payload = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=="))["sub"])


def submit(stack: RunningStack, request_id: bytes, token: str) -> httpx.Response:
    headers = {b"Authorization": f"Bearer {token}".encode(), b"X-Amzn-RequestId": request_id}
    answer: httpx.Response = stack.http.post("/support-request", json=SUBMISSION, headers=headers)
    return answer


def inputs(stack: RunningStack, name: str) -> list[Any]:
    """The inputs of the executions with this name, when they have ended."""
    client = stack.stack.client("stepfunctions")
    found = [e["executionArn"] for e in stack.executions() if e["name"] == name]
    described: list[Any] = []

    def ended() -> bool:
        described[:] = [client.describe_execution(executionArn=arn) for arn in found]
        return all(execution["status"] != "RUNNING" for execution in described)

    assert wait_for(ended, 30)
    return [json.loads(execution["input"]) for execution in described]


def expected_input(ticket_id: str, token: str, received: Any) -> dict[str, Any]:
    return {
        "ticketId": ticket_id,
        "receivedAt": received["receivedAt"],
        "channel": "web",
        "caller": {"subject": subject(token), "groups": ""},
        "request": SUBMISSION,
    }


@pytest.mark.parametrize(
    "chosen",
    [
        b'"',
        b'","name":"x',
        b'\\","caller":{"subject":"victim","groups":"admins"},"channel":"service","x":\\"',
        b"\\\\\t\\u0022",
        b"#set($ticketId = 1)$context.apiId",
        b"x" * 2000,
        "\U0001f600é".encode(),
        b"7f9c24e8-3b12-4a5f-9d6e-1c2b3a4d5e6f x",
    ],
)
def test_a_request_id_that_is_not_a_uuid_is_not_used(stack: RunningStack, chosen: bytes) -> None:
    answer = submit(stack, chosen, stack.token())

    assert answer.status_code == 202, answer.text
    ticket_id = answer.json()["ticketId"]
    assert re.fullmatch("[A-Za-z0-9_-]{16}", ticket_id)
    assert ticket_id == re.sub("[^A-Za-z0-9]", "-", answer.headers["x-amz-apigw-id"])
    (received,) = inputs(stack, ticket_id)
    assert received == expected_input(ticket_id, stack.token(), received)
    assert stack.outcome(ticket_id)["status"] == "PROCESSED"


@pytest.mark.parametrize(
    "chosen", [b"a\r\n b", b'a\r\n ","name":"x', b"a\nX-Amzn-RequestId: b", b"a\x00b", b"a\rb", b"a\x7fb"]
)
def test_line_breaks_and_control_characters_are_refused_or_change_nothing(
    stack: RunningStack, chosen: bytes
) -> None:
    body = json.dumps(SUBMISSION).encode()
    head = (
        f"POST /support-request HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Authorization: Bearer {stack.token()}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nX-Amzn-RequestId: "
    )
    with socket.create_connection(("127.0.0.1", stack.port), timeout=35) as connection:
        connection.sendall(head.encode() + chosen + b"\r\n\r\n" + body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    status = int(answer.split()[1])

    assert status in (202, 400), answer
    if status == 202:
        ticket_id = json.loads(answer.partition(b"\r\n\r\n")[2])["ticketId"]
        (received,) = inputs(stack, ticket_id)
        assert received == expected_input(ticket_id, stack.token(), received)


@pytest.mark.parametrize("spelled", [str.lower, str.upper])
def test_another_customers_ticket_id_as_request_id_does_not_change_the_ticket(
    stack: RunningStack, spelled: Any
) -> None:
    victims = stack.submit({"content": "Mine."})
    before = stack.outcome(victims)
    stranger = stack.new_customer()

    answer = submit(stack, spelled(victims).encode(), stranger)

    assert answer.status_code == 202, answer.text
    assert answer.headers["x-amzn-requestid"] == spelled(victims)
    first, second = sorted(inputs(stack, victims), key=lambda received: received["receivedAt"])
    assert first["request"] == {"content": "Mine."}
    assert second == expected_input(victims, stranger, second)
    assert stack.get(victims).json() == before
