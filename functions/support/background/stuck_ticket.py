"""Sweeps one stuck ticket: sends it to the waiting room, or sets it aside if it is unreadable."""

import os
from datetime import datetime
from enum import StrEnum

from support.aws import clients
from support.aws.pending import PendingTickets
from support.aws.table import TicketTable
from support.aws.telemetry import logger
from support.aws.topics import FailureTopic
from support.aws.waiting_room import WaitingRoom
from support.domain.errors import InvalidTicket, PipelineError, TransientError
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Failure
from support.domain.waiting import WaitingTicket

TABLE = TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])
PENDING = PendingTickets(clients.dynamodb(), os.environ["TICKETS_TABLE"])
WAITING_ROOM = WaitingRoom(
    clients.sqs(), os.environ["WAITING_ROOM_URL"], os.environ["PRIORITY_WAITING_ROOM_URL"]
)
TOPIC = FailureTopic(clients.sns(), os.environ["FAILURE_TOPIC_ARN"])
# `waitingFor` of a swept ticket.
REASON = "TicketStuck"


class Outcome(StrEnum):
    """The result of sweeping one ticket. After FAULT and UNAVAILABLE the ticket is still stuck."""

    SWEPT = "swept"
    SET_ASIDE = "set_aside"
    LEFT = "left"
    FAULT = "fault"
    UNAVAILABLE = "unavailable"


def sweep_ticket(ticket_id: str, now: datetime, overdue_since: datetime) -> Outcome:
    """Sweep one ticket. The message of a ticket that has waited since before `overdue_since` is lost.

    Logs errors instead of raising them, so that the other tickets are swept.
    """
    try:
        return _sweep(ticket_id, now, overdue_since)
    except PipelineError as error:
        logger.error("sweep failed", error=type(error).__name__, reason=str(error))
        return Outcome.UNAVAILABLE if isinstance(error, TransientError) else Outcome.FAULT


def _sweep(ticket_id: str, now: datetime, overdue_since: datetime) -> Outcome:
    try:
        ticket = TABLE.get(ticket_id)
    except InvalidTicket as unreadable:
        return _set_aside(ticket_id, str(unreadable), now)
    if ticket is None or not _is_stuck(ticket, now, overdue_since):
        return Outcome.LEFT
    since = datetime.fromisoformat(ticket.waiting_since) if ticket.waiting_since else now
    # Send first: if the mark fails, the next sweep sends a second message, which does no harm.
    WAITING_ROOM.send(WaitingTicket(submission=ticket.to_submission(), error=REASON, since=since), now)
    TABLE.mark_waiting(ticket, reason=REASON, now=now)
    logger.info("ticket swept")
    return Outcome.SWEPT


def _is_stuck(ticket: Ticket, now: datetime, overdue_since: datetime) -> bool:
    # The index, from which the id comes, may lag behind the table.
    if ticket.is_leased(now):
        return False
    if ticket.waiting_since:
        return ticket.waiting_since < timestamp(overdue_since)
    return ticket.pending_since is not None


def _set_aside(ticket_id: str, reason: str, now: datetime) -> Outcome:
    failure: Failure = {"error": "TicketUnreadable", "cause": reason, "failedAt": timestamp(now)}
    # The message has only the id; the item in the table keeps the content.
    TOPIC.publish(submission={"ticketId": ticket_id}, execution=ticket_id, failure=failure)
    PENDING.set_aside(ticket_id, failure)
    logger.error("ticket set aside", reason=reason)
    return Outcome.SET_ASIDE
