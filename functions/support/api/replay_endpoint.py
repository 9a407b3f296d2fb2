"""The endpoint with which admins replay a ticket that failed, or whose notification failed."""

import os
from datetime import UTC, datetime
from http import HTTPStatus

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from support.api.context import TABLE, get_caller, stored_ticket
from support.aws import clients
from support.aws.telemetry import logger
from support.aws.waiting_room import WaitingRoom
from support.domain.refusals import Forbidden, NothingToReplay
from support.domain.waiting import REPLAY, WaitingTicket

WAITING_ROOM = WaitingRoom(
    clients.sqs(), os.environ["WAITING_ROOM_URL"], os.environ["PRIORITY_WAITING_ROOM_URL"]
)

router = APIGatewayRouter()  # type: ignore[no-untyped-call]


@router.post("/tickets/<ticket_id>/replay")
def replay_ticket(ticket_id: str) -> Response[dict[str, str]]:
    """Send the ticket to the waiting room, from where it is processed again within seconds."""
    caller = get_caller(router)
    if not caller.is_admin:
        raise Forbidden("Only admins may replay tickets.")
    ticket = stored_ticket(ticket_id)
    if not ticket.needs_replay:
        raise NothingToReplay(f"The ticket is {ticket.status}: it needs no replay, or is being replayed.")
    now = datetime.now(UTC)
    # Send first: if the mark fails, the ticket is still replayed.
    WAITING_ROOM.send(WaitingTicket(submission=ticket.to_submission(), error=REPLAY, since=now), now)
    TABLE.mark_waiting(ticket, reason=REPLAY, now=now)
    logger.info("ticket replayed", by=caller.subject)
    return Response(
        status_code=HTTPStatus.ACCEPTED,
        content_type=content_types.APPLICATION_JSON,
        body={"message": "the ticket will be processed again", "ticketId": ticket_id},
    )
