"""Notify Support: notify the support team about a processed ticket, and not again on a repeat."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws import clients
from support.aws.table import TicketTable
from support.aws.telemetry import logger, record
from support.aws.topics import SupportTopic
from support.domain.errors import InvalidTicket, TicketNotFound
from support.domain.metrics import TICKETS_NOTIFIED, TIME_TO_NOTIFIED
from support.domain.notification import Notification
from support.domain.reply import ShowDrafts
from support.domain.ticket import Ticket
from support.tasks.task_handler import task_handler

TABLE = TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])
TOPIC = SupportTopic(clients.sns(), os.environ["SUPPORT_TOPIC_ARN"])
IMMEDIATE_MAIL_URGENCIES = os.environ["IMMEDIATE_MAIL_URGENCIES"].split(",")
SHOW_DRAFTS = ShowDrafts(os.environ["SHOW_DRAFTS"])


@task_handler("Notify Support")
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Publish a notification, unless the table says that the team was notified.

    Publish first, then mark: after a crash between the two, a duplicate notification beats a lost one.

    Event: `{"execution": str, "ticket": ticket document}`. Result: `{"ticket": ticket document}`.
    Raises: InvalidTicket, TicketNotFound, NotifyUnavailable, NotifyRejected, StoreUnavailable, StoreRejected.
    """
    ticket = _current(event["ticket"]["ticketId"])
    if ticket.notified_at:
        logger.info("support already notified", notifiedAt=ticket.notified_at)
        return {"ticket": ticket.to_document()}
    if ticket.analysis is None:
        raise InvalidTicket("The ticket has no analysis.")
    TOPIC.publish(
        Notification.of(
            ticket,
            ticket.analysis,
            immediate_urgencies=IMMEDIATE_MAIL_URGENCIES,
            show_drafts=SHOW_DRAFTS,
        )
    )
    now = datetime.now(UTC)
    notified = TABLE.mark_notified(ticket.ticket_id, now)
    record({TICKETS_NOTIFIED: 1, TIME_TO_NOTIFIED: ticket.age_in_milliseconds(now)})
    logger.info("support notified", urgency=ticket.analysis["urgency"], category=ticket.analysis["category"])
    return {"ticket": notified.to_document()}


def _current(ticket_id: str) -> Ticket:
    # Another execution, or a first attempt of this task, may have notified the team since the event was made.
    ticket = TABLE.get(ticket_id)
    if ticket is None:
        raise TicketNotFound("The ticket is not in the table; it may have been deleted.")
    return ticket
