"""Replay: a failed ticket that an operator moved to the replay queue is started again, once."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws import clients
from support.aws.pipeline import TicketPipeline
from support.aws.table import TicketTable
from support.aws.telemetry import logger, metrics
from support.domain.errors import InvalidTicket
from support.domain.ticket import Ticket

TABLE = TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])
PIPELINE = TicketPipeline(clients.stepfunctions(), os.environ["STATE_MACHINE_ARN"])
RETENTION_DAYS = int(os.environ["TICKET_RETENTION_DAYS"])
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Start each message's ticket again; a message that fails stays in the queue, for three tries."""
    metrics.add_metric("ReplaysAsked", MetricUnit.Count, len(event["Records"]))
    return process_partial_response(event, record_handler=_replay, processor=processor, context=context)


def _replay(record: SQSRecord) -> None:
    now = datetime.now(UTC)
    submission = _submission(record.body)
    asked = Ticket.from_submission(submission, now=now, retention_days=RETENTION_DAYS)
    logger.append_keys(ticketId=asked.ticket_id)
    # Added or claimed first: of several who replay a ticket, one starts it. Should the start then fail, the
    # ticket is pending, and so the sweep's.
    ticket, is_new = TABLE.find_or_add(asked)
    logger.append_keys(ticketId=ticket.ticket_id)
    if is_new:
        _start(f"{ticket.ticket_id}-r1", submission)
    elif claimed := TABLE.reopen(ticket, now):
        _start(f"{ticket.ticket_id}-r{claimed.attempts}", submission)
    else:
        logger.info("nothing to replay", status=ticket.status)


def _start(name: str, submission: Mapping[str, Any]) -> None:
    PIPELINE.start(name, submission)
    metrics.add_metric("TicketsReplayed", MetricUnit.Count, 1)
    logger.info("ticket replayed", execution=name)


def _submission(body: str) -> Mapping[str, Any]:
    """The failed execution's input."""
    try:
        submission = json.loads(body)["input"]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidTicket("The message is no failure message: it holds no input.") from error
    if not isinstance(submission, Mapping):
        raise InvalidTicket("The message is no failure message: its input is no object.")
    return submission
