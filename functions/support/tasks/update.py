"""Update Ticket, Record Failure, Record Deferral: record how an execution went."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws import clients
from support.aws.table import TicketTable
from support.aws.telemetry import logger, record
from support.domain import metrics
from support.domain.errors import InvalidTicket
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Analysis, Failure
from support.domain.waiting import waiting_since
from support.tasks.task_handler import task_handler

TABLE = TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])
# Characters.
MAX_CAUSE = 1_000


@task_handler("Update Ticket", failure="Record Failure", deferral="Record Deferral")
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Record the failure or the deferral in the event, otherwise the analysis.

    Event: `{"execution": name, "ticket": ticket document with analysis}`, or `{"execution": name, "run": ARN,
    "submission": execution input, "failure" or "deferral": {"Error": str, "Cause": str}}`.
    Result: `{"ticket": ticket document}`; null when the ticket is not stored or the deferral is not recorded.
    Raises: InvalidTicket, TicketNotFound, StoreUnavailable, StoreRejected.
    """
    if "failure" in event:
        ticket = _record_failure(event)
    elif "deferral" in event:
        ticket = _record_deferral(event)
    else:
        ticket = _record_analysis(event)
    return {"ticket": ticket.to_document() if ticket else None}


def _record_analysis(event: Mapping[str, Any]) -> Ticket:
    classified = Ticket.from_document(event["ticket"])
    if classified.analysis is None:
        raise InvalidTicket("The ticket has no analysis.")
    now = datetime.now(UTC)
    ticket = TABLE.record_analysis(
        classified.ticket_id, classified.analysis, execution_name=event["execution"], now=now
    )
    logger.info("ticket updated", status=ticket.status)
    # A repeated execution changes nothing.
    if ticket.updated_at == timestamp(now):
        _count_analysis(classified, classified.analysis, now)
    return ticket


def _count_analysis(ticket: Ticket, analysis: Analysis, now: datetime) -> None:
    record(
        {metrics.TICKETS_PROCESSED: 1},
        Urgency=analysis["urgency"],
        Category=analysis["category"],
        Language=metrics.language_value(analysis["language"]),
    )
    record(
        {
            metrics.TIME_TO_PROCESSED: ticket.age_in_milliseconds(now),
            metrics.NEEDS_REVIEW: int(analysis["needsReview"]),
        }
    )


def _record_failure(event: Mapping[str, Any]) -> Ticket | None:
    now = datetime.now(UTC)
    failure = _failure(event["failure"], now)
    stored = _find_stored(event, now)
    ticket = stored and TABLE.record_failure(
        stored.ticket_id, failure, execution_name=event["execution"], execution_arn=event["run"], now=now
    )
    # The cause is not logged: the message of an unexpected error may contain ticket content.
    logger.error("ticket failed", status=ticket.status if ticket else "NOT STORED", error=failure["error"])
    record({metrics.TICKETS_FAILED: 1})
    return ticket


def _record_deferral(event: Mapping[str, Any]) -> Ticket | None:
    now = datetime.now(UTC)
    error, since = str(event["deferral"].get("Error", "")), waiting_since(event["submission"], now)
    stored = _find_stored(event, now)
    ticket = stored and TABLE.record_deferral(
        stored.ticket_id, error=error, since=since, execution_arn=event["run"], now=now
    )
    logger.info("ticket deferred", status=ticket.status if ticket else "NOT STORED", error=error, since=since)
    record({metrics.TICKETS_DEFERRED: 1})
    return ticket


def _find_stored(event: Mapping[str, Any], now: datetime) -> Ticket | None:
    # Look the ticket up by the whole submission: another submission's ticket may have its id.
    submitted = Ticket.from_submission(event["submission"], now=now, retention_days=0)
    stored = TABLE.find(submitted)
    logger.append_keys(ticketId=(stored or submitted).ticket_id)
    return stored


def _failure(caught: Mapping[str, Any], now: datetime) -> Failure:
    return {
        "error": str(caught.get("Error", "")),
        "cause": _error_message(str(caught.get("Cause", "")))[:MAX_CAUSE],
        "failedAt": timestamp(now),
    }


def _error_message(cause: str) -> str:
    """The error message in Lambda's JSON; the cause itself if it does not come from Lambda."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause
