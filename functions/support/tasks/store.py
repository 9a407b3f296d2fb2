"""Store Ticket: store the ticket exactly once, and lease it to one execution."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws import clients
from support.aws.table import TicketTable
from support.aws.telemetry import logger, record
from support.domain.execution import Execution
from support.domain.metrics import TICKETS_DUPLICATED, TICKETS_RECEIVED
from support.domain.ticket import Ticket
from support.tasks.task_handler import task_handler

TABLE = TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])
RETENTION_DAYS = int(os.environ["TICKET_RETENTION_DAYS"])


@task_handler("Store Ticket")
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Store the submission's ticket, or find it, and claim it for this execution.

    The ticket's id is the submitted one, or a derived one when another submission's ticket has that id. It is
    a duplicate when the support team was notified, or when another execution is processing it.

    Event: `{"execution": name, "run": ARN, "enteredAt": time, "submission": execution input}`.
    Result: `{"ticket": ticket document, "isDuplicate": bool}`.
    Raises: InvalidTicket, StoreUnavailable, StoreRejected.
    """
    now = datetime.now(UTC)
    submitted = Ticket.from_submission(event["submission"], now=now, retention_days=RETENTION_DAYS)
    ticket, is_claimed = TABLE.claim(submitted, Execution.from_event(event), now)
    logger.append_keys(ticketId=ticket.ticket_id)
    logger.info(
        "ticket stored" if is_claimed else "duplicate ignored", status=ticket.status, attempts=ticket.attempts
    )
    if not is_claimed:
        record({TICKETS_DUPLICATED: 1})
    elif ticket.attempts == 1:
        record({TICKETS_RECEIVED: 1})
    return {"ticket": ticket.to_document(), "isDuplicate": not is_claimed}
