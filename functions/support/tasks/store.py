"""Store Ticket: after this step the ticket is in the table, exactly once, and one execution works on it."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws import clients
from support.aws.table import TicketTable
from support.aws.telemetry import logger, task
from support.domain.run import Run
from support.domain.ticket import Ticket

TABLE = TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])
RETENTION_DAYS = int(os.environ["TICKET_RETENTION_DAYS"])


@task
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Store the submission and claim its ticket; return the ticket with all that is already known of it.

    Its id is the submission's, or one derived from it where that is taken by another submission's ticket.
    A duplicate is a ticket that was announced, or that another execution is working on.

    Event: `{"execution": name, "run": ARN, "enteredAt": time, "submission": execution input}`.
    Result: `{"ticket": ticket document, "isDuplicate": bool}`.
    Raises: InvalidTicket, StoreUnavailable, StoreRejected.
    """
    now = datetime.now(UTC)
    submitted = Ticket.from_submission(event["submission"], now=now, retention_days=RETENTION_DAYS)
    ticket, is_claimed = TABLE.claim(submitted, Run.of(event), now)
    logger.append_keys(ticketId=ticket.ticket_id)
    logger.info(
        "ticket stored" if is_claimed else "duplicate ignored", status=ticket.status, attempts=ticket.attempts
    )
    return {"ticket": ticket.to_document(), "isDuplicate": not is_claimed}
