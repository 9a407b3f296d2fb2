"""Replay by hand: an admin starts a ticket again that failed, or that was given up unannounced."""

import os
from datetime import UTC, datetime
from http import HTTPStatus

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from support.api.request import TABLE, caller, stored_ticket
from support.aws import clients
from support.aws.pipeline import TicketPipeline
from support.aws.telemetry import logger
from support.domain.refusals import Forbidden, NothingToReplay

PIPELINE = TicketPipeline(clients.stepfunctions(), os.environ["STATE_MACHINE_ARN"])

router = APIGatewayRouter()  # type: ignore[no-untyped-call]


@router.post("/tickets/<ticket_id>/replay")
def replay_ticket(ticket_id: str) -> Response[dict[str, str]]:
    """Claim the ticket, then start it: of several who replay it, one does; a failed start is the sweep's."""
    who = caller(router)
    if not who.is_admin:
        raise Forbidden("Only admins may replay tickets.")
    ticket = stored_ticket(ticket_id)
    claimed = TABLE.reopen(ticket, datetime.now(UTC))
    if claimed is None:
        raise NothingToReplay(f"The ticket is {ticket.status}, and needs no replay or is being replayed.")
    execution = f"{ticket_id}-r{claimed.attempts}"
    PIPELINE.start(execution, claimed.to_submission())
    logger.info("ticket replayed", by=who.subject, execution=execution)
    return Response(
        status_code=HTTPStatus.ACCEPTED,
        content_type=content_types.APPLICATION_JSON,
        body={
            "message": "the ticket's processing has been started again",
            "ticketId": ticket_id,
            "execution": execution,
        },
    )
