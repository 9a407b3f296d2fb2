"""Update Ticket and Record Failure: the table says how it went, and a success outlives a failure."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws import clients
from support.aws.table import TicketTable
from support.aws.telemetry import logger, task
from support.domain.errors import InvalidTicket
from support.domain.ticket import Failure, Ticket, timestamp

TABLE = TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])
MAX_CAUSE = 1_000


@task
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Record the analysis, or the failure when the event holds one.

    Event: `{"execution": str, "ticket": ticket document with analysis}`, or `{"execution": str,
    "submission": execution input, "failure": {"Error": str, "Cause": str}}`.
    Result: `{"ticket": ticket document}`; null where a failed ticket was never stored.
    Raises: InvalidTicket, TicketNotFound, StoreUnavailable, StoreRejected.
    """
    ticket = _record_failure(event) if "failure" in event else _record_analysis(event)
    return {"ticket": ticket.to_document() if ticket else None}


def _record_analysis(event: Mapping[str, Any]) -> Ticket:
    classified = Ticket.from_document(event["ticket"])
    if classified.analysis is None:
        raise InvalidTicket("The ticket has no analysis to record.")
    ticket = TABLE.record_analysis(
        classified.ticket_id, classified.analysis, execution=event["execution"], now=datetime.now(UTC)
    )
    logger.info("ticket updated", status=ticket.status)
    return ticket


def _record_failure(event: Mapping[str, Any]) -> Ticket | None:
    failure = _failure(event["failure"])
    # Found by the whole submission: under its id there may be another submission's ticket.
    submitted = Ticket.from_submission(event["submission"], now=datetime.now(UTC), retention_days=0)
    stored = TABLE.find(submitted)
    logger.append_keys(ticketId=(stored or submitted).ticket_id)
    ticket = TABLE.record_failure(stored.ticket_id, failure, execution=event["execution"]) if stored else None
    # Not the cause: the words of an error that nobody foresaw may quote the ticket.
    logger.error("ticket failed", status=ticket.status if ticket else "NOT STORED", error=failure["error"])
    return ticket


def _failure(caught: Mapping[str, Any]) -> Failure:
    return {
        "error": str(caught.get("Error", "")),
        "cause": _message(str(caught.get("Cause", "")))[:MAX_CAUSE],
        "failedAt": timestamp(datetime.now(UTC)),
    }


def _message(cause: str) -> str:
    """A function's error message out of Lambda's JSON; the cause itself where it comes from elsewhere."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause
