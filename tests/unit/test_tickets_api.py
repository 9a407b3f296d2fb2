"""GET /tickets/{ticketId}: the ticket, for those whose business it is."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext

from support.api.tickets import handler
from support.aws import clients
from support.aws.table import TicketTable
from support.domain.ticket import Ticket

UPDATE = json.loads((Path(__file__).parents[2] / "events" / "update" / "analysis.json").read_text())
TICKET = Ticket.from_document(UPDATE["ticket"])


def get(ticket_id: str, claims: dict[str, str] | None) -> tuple[int, dict[str, Any]]:
    event = {
        "resource": "/tickets/{ticketId}",
        "path": f"/tickets/{ticket_id}",
        "httpMethod": "GET",
        "headers": {},
        "pathParameters": {"ticketId": ticket_id},
        "requestContext": {"authorizer": {"claims": claims} if claims is not None else {}, "requestId": "r"},
    }
    context = LambdaContext()
    context._function_name = "f"
    context._memory_limit_in_mb = 512
    context._invoked_function_arn = "arn"
    context._aws_request_id = "r"
    answer = handler(event, context)
    return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture
def stored(aws: None) -> None:
    TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"]).store(TICKET, datetime.now(UTC))


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": TICKET.customer_id},
        {"sub": "x", "cognito:groups": "agents"},
        {"sub": "x", "cognito:groups": "[admins staff]"},
    ],
)
def test_its_customer_and_the_staff_see_the_ticket_itself(stored: None, claims: dict[str, str]) -> None:
    assert get(TICKET.ticket_id, claims) == (200, TICKET.to_document())


@pytest.mark.parametrize(
    "claims", [{"sub": "somebody-else"}, {"sub": "x", "cognito:groups": "customers"}, {"sub": ""}, {}, None]
)
def test_anybody_else_cannot_tell_it_from_one_that_does_not_exist(
    stored: None, claims: dict[str, str] | None
) -> None:
    assert get(TICKET.ticket_id, claims) == get("9f8fad5b-d9cb-469f-a165-70867728950e", claims)
    assert get(TICKET.ticket_id, claims)[0] == 404


def test_a_table_that_does_not_answer_is_a_503_without_awss_words(aws: None) -> None:
    boto3.client("dynamodb").delete_table(TableName=os.environ["TICKETS_TABLE"])

    status, body = get(TICKET.ticket_id, {"sub": TICKET.customer_id})

    assert status == 503
    assert "again" in body["message"]
    assert "ResourceNotFound" not in json.dumps(body)
