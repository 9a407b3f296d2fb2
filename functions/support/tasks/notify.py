"""Notify Support: the team hears of every processed ticket; of one that it knows already, not again."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws import clients
from support.aws.table import TicketTable
from support.aws.telemetry import logger, task
from support.aws.topics import SupportTopic
from support.domain.announcement import Announcement
from support.domain.errors import InvalidTicket, TicketNotFound
from support.domain.ticket import Ticket

TABLE = TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])
TOPIC = SupportTopic(clients.sns(), os.environ["SUPPORT_TOPIC_ARN"])
IMMEDIATE_MAIL_URGENCIES = os.environ["IMMEDIATE_MAIL_URGENCIES"].split(",")


@task
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Announce the ticket unless the table says that it was announced.

    The mark comes after the message: a function that dies between the two announces twice rather than never.

    Event: `{"execution": str, "ticket": ticket document}`. Result: `{"ticket": ticket document}`.
    Raises: InvalidTicket, TicketNotFound, NotifyUnavailable, NotifyRejected, StoreUnavailable, StoreRejected.
    """
    ticket = _current(event["ticket"]["ticketId"])
    if ticket.notified_at:
        logger.info("ticket already announced", notifiedAt=ticket.notified_at)
        return {"ticket": ticket.to_document()}
    if ticket.analysis is None:
        raise InvalidTicket("The ticket has no analysis to announce.")
    TOPIC.publish(Announcement.of(ticket, ticket.analysis, IMMEDIATE_MAIL_URGENCIES))
    announced = TABLE.mark_announced(ticket.ticket_id, datetime.now(UTC))
    logger.info("ticket announced", urgency=ticket.analysis["urgency"], category=ticket.analysis["category"])
    return {"ticket": announced.to_document()}


def _current(ticket_id: str) -> Ticket:
    # The state's copy may be older than another execution's announcement, or than this task's own first try.
    ticket = TABLE.get(ticket_id)
    if ticket is None:
        raise TicketNotFound("The ticket is not in the table; was it deleted meanwhile?")
    return ticket
