"""The ticket endpoints: what a customer or an agent may know of a ticket."""

import os
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response, content_types
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws import clients
from support.aws.table import TicketTable
from support.aws.telemetry import logger
from support.domain.caller import Caller
from support.domain.errors import PipelineError

TABLE = TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])
app = APIGatewayRestResolver()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """API Gateway's proxy event in, its response out."""
    return app.resolve(event, context)


@app.get("/tickets/<ticket_id>")
def get_ticket(ticket_id: str) -> dict[str, Any]:
    """The ticket, for its customer or for staff; whoever may not see it cannot tell that it exists."""
    logger.append_keys(ticketId=ticket_id)
    ticket = TABLE.get(ticket_id)
    if ticket is None or not _caller().may_read_tickets_of(ticket.customer_id):
        raise NotFoundError("There is no such ticket, or it is not yours.")
    return ticket.to_document()


@app.exception_handler(PipelineError)  # type: ignore[untyped-decorator]
def unavailable(error: PipelineError) -> Response[dict[str, Any]]:
    """The table's failures, told without AWS's words."""
    logger.error("request failed", error=type(error).__name__, reason=str(error))
    return Response(
        status_code=HTTPStatus.SERVICE_UNAVAILABLE,
        content_type=content_types.APPLICATION_JSON,
        headers={"Retry-After": "5"},
        body={"message": "The ticket cannot be read right now. Please try again in a few seconds."},
    )


def _caller() -> Caller:
    return Caller.from_claims(app.current_event.request_context.authorizer.claims or {})
