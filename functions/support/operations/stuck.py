"""One stuck ticket: it is started again, given up after three sweeps, or set aside if it is unreadable."""

import os
from datetime import datetime
from enum import StrEnum

from support.aws import clients
from support.aws.pending import PendingTickets
from support.aws.pipeline import TicketPipeline
from support.aws.table import TicketTable
from support.aws.telemetry import logger
from support.aws.topics import FailureTopic
from support.domain.errors import InvalidTicket, PipelineError, TransientError
from support.domain.ticket import Failure, Ticket, timestamp

TABLE = TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])
PENDING = PendingTickets(clients.dynamodb(), os.environ["TICKETS_TABLE"])
PIPELINE = TicketPipeline(clients.stepfunctions(), os.environ["STATE_MACHINE_ARN"])
TOPIC = FailureTopic(clients.sns(), os.environ["FAILURE_TOPIC_ARN"])
MAX_SWEEPS = 3


class Outcome(StrEnum):
    """What became of a stuck ticket. After a fault, and while AWS is unavailable, it stays stuck."""

    RESTARTED = "restarted"
    GIVEN_UP = "given_up"
    SET_ASIDE = "set_aside"
    LEFT = "left"
    FAULT = "fault"
    UNAVAILABLE = "unavailable"


def sweep_ticket(ticket_id: str, now: datetime, stuck_since: datetime) -> Outcome:
    """Sweep one ticket. Errors are logged, not raised, so that the other tickets are swept as well."""
    try:
        return _sweep(ticket_id, now, stuck_since)
    except PipelineError as error:
        logger.error("sweep failed", error=type(error).__name__, reason=str(error))
        return Outcome.UNAVAILABLE if isinstance(error, TransientError) else Outcome.FAULT


def _sweep(ticket_id: str, now: datetime, stuck_since: datetime) -> Outcome:
    try:
        ticket = TABLE.get(ticket_id)
    except InvalidTicket as unreadable:
        return _set_aside(ticket_id, str(unreadable), now)
    if ticket is None or not ticket.pending_since or ticket.pending_since >= timestamp(stuck_since):
        return Outcome.LEFT
    return _give_up(ticket, now) if (ticket.sweeps or 0) >= MAX_SWEEPS else _restart(ticket, now)


def _restart(ticket: Ticket, now: datetime) -> Outcome:
    claimed = TABLE.claim(ticket, sweeps=(ticket.sweeps or 0) + 1, now=now)
    if claimed is None:
        return Outcome.LEFT
    name = f"{ticket.ticket_id}-s{claimed.attempts}"
    PIPELINE.start(name, ticket.to_submission())
    logger.info("ticket swept", execution=name)
    return Outcome.RESTARTED


def _give_up(ticket: Ticket, now: datetime) -> Outcome:
    failure: Failure = {
        "error": "TicketStuck",
        "cause": f"The ticket did not get through in {MAX_SWEEPS} sweeps.",
        "failedAt": timestamp(now),
    }
    # Publish first: a duplicate alert beats a lost one.
    TOPIC.publish(
        submission=ticket.to_submission(),
        execution=f"{ticket.ticket_id}-s{ticket.attempts}",
        failure=failure,
    )
    TABLE.give_up(ticket, failure)
    logger.error("ticket given up", error=failure["error"])
    return Outcome.GIVEN_UP


def _set_aside(ticket_id: str, reason: str, now: datetime) -> Outcome:
    failure: Failure = {"error": "TicketUnreadable", "cause": reason, "failedAt": timestamp(now)}
    # The item keeps what the customer wrote; the message tells people that it is there.
    TOPIC.publish(submission={"ticketId": ticket_id}, execution=ticket_id, failure=failure)
    PENDING.set_aside(ticket_id, failure)
    logger.error("ticket set aside", reason=reason)
    return Outcome.SET_ASIDE
