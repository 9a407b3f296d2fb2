"""Replay by hand: an admin has a ticket started again that failed, or that was given up unannounced."""

import os
from datetime import UTC, datetime
from http import HTTPStatus

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from support.api.request import TABLE, caller, stored_ticket
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
    """Put the ticket into the waiting room, from which it is started again within seconds."""
    who = caller(router)
    if not who.is_admin:
        raise Forbidden("Only admins may replay tickets.")
    ticket = stored_ticket(ticket_id)
    if not ticket.is_abandoned:
        raise NothingToReplay(f"The ticket is {ticket.status}, and needs no replay or is being replayed.")
    now = datetime.now(UTC)
    # Sent first: should the mark fail, the ticket is replayed all the same.
    WAITING_ROOM.admit(WaitingTicket(submission=ticket.to_submission(), error=REPLAY, since=now), now)
    TABLE.mark_waiting(ticket, reason=REPLAY, now=now)
    logger.info("ticket replayed", by=who.subject)
    return Response(
        status_code=HTTPStatus.ACCEPTED,
        content_type=content_types.APPLICATION_JSON,
        body={"message": "the ticket will be processed again", "ticketId": ticket_id},
    )
