"""Store Ticket: after this step the ticket is in the table, exactly once, whatever happens later."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws import clients
from support.aws.table import TicketTable
from support.aws.telemetry import logger, task
from support.domain.ticket import Ticket

TABLE = TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])
RETENTION_DAYS = int(os.environ["TICKET_RETENTION_DAYS"])


@task
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Store the submission; return the ticket with all that is already known of it.

    Its id is the submission's, or one derived from it where that is taken by another submission's ticket.

    Event: `{"execution": str, "submission": execution input}`. Result: `{"ticket": ticket document}`.
    Raises: InvalidTicket, StoreUnavailable, StoreRejected.
    """
    now = datetime.now(UTC)
    submitted = Ticket.from_submission(event["submission"], now=now, retention_days=RETENTION_DAYS)
    stored = TABLE.store(submitted, now, execution=event["execution"])
    logger.append_keys(ticketId=stored.ticket_id)
    logger.info("ticket stored", status=stored.status, attempts=stored.attempts)
    return {"ticket": stored.to_document()}
