"""Resume: takes tickets out of the waiting room, and runs the state machine for each to its end."""

import os
import random
from datetime import UTC, datetime, timedelta

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes import SQSEvent, event_source
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws import clients
from support.aws.pipeline import End, TicketPipeline
from support.aws.queue import FailedTicketsQueue
from support.aws.table import TicketTable
from support.aws.telemetry import logger, metrics
from support.aws.topics import FailureTopic
from support.aws.waiting_room import WaitingRoom
from support.domain.errors import InvalidTicket, StartUnavailable
from support.domain.ticket import Failure, Ticket, timestamp
from support.domain.waiting import WaitingTicket
from support.operations.pace import Pace

PIPELINE = TicketPipeline(clients.stepfunctions(), os.environ["STATE_MACHINE_ARN"])
TABLE = TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])
TOPIC = FailureTopic(clients.sns(), os.environ["FAILURE_TOPIC_ARN"])
WAITING_ROOM = WaitingRoom(
    clients.sqs(), os.environ["WAITING_ROOM_URL"], os.environ["PRIORITY_WAITING_ROOM_URL"]
)
FAILED_TICKETS = FailedTicketsQueue(clients.sqs(), os.environ["FAILED_TICKETS_QUEUE_URL"])
MAX_WAIT = timedelta(hours=int(os.environ["MAX_WAIT_HOURS"]))
# Rounds in a row in which a function died or took too long: by then it is the ticket's doing.
MAX_DEATHS = 3
# Seconds before a ticket that could not be run comes again, as in the state machine's Defer Ticket.
DELAY = (1, 20)
PACE = Pace()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@event_source(data_class=SQSEvent)
def handler(event: SQSEvent, _context: LambdaContext) -> None:
    """Resume the ticket in the batch, which holds one; Lambda then deletes its message.

    Whatever became of the ticket, this message has done its work: the ticket was processed, or it failed, or
    a new message is in the waiting room, or another execution is working on it.

    Raises: QueueUnavailable, QueueRejected, NotifyUnavailable, NotifyRejected, StoreUnavailable,
    StoreRejected, StartRejected. The message then comes again.
    """
    for record in event.records:
        metrics.add_metric("TicketsResumed", MetricUnit.Count, 1)
        try:
            _resume(record, datetime.now(UTC))
        except InvalidTicket as error:
            FAILED_TICKETS.send(record.body)
            logger.error("message set aside", reason=str(error), messageId=record.message_id)


def _resume(record: SQSRecord, now: datetime) -> None:
    waiting = WaitingTicket.from_message(record.body, now)
    ticket = Ticket.from_submission(waiting.submission, now=now, retention_days=0)
    # A message that is delivered twice makes the same name twice.
    name = f"{ticket.ticket_id}-r{record.message_id[:8]}"
    logger.append_keys(ticketId=ticket.ticket_id, execution=name)
    if failure := _failure(waiting, now):
        _give_up(ticket, waiting, failure, name)
    else:
        _run(waiting, name)


def _run(waiting: WaitingTicket, name: str) -> None:
    PACE.wait()
    try:
        end = PIPELINE.run(name, waiting.to_input())
    except StartUnavailable as error:
        end = End(execution=waiting.execution, cut_off_by="StartUnavailable", cause=str(error))
    if end.cut_off_by:
        again = waiting.deferred_again(execution=end.execution, error=end.cut_off_by, cause=end.cause)
        WAITING_ROOM.admit(again, datetime.now(UTC), delay=random.randint(*DELAY))  # noqa: S311 (no secret)
    if end.deferred_by or end.cut_off_by:
        PACE.deferred()
    else:
        PACE.passed()
    logger.info("ticket resumed", deferredBy=end.deferred_by, cutOffBy=end.cut_off_by)


def _failure(waiting: WaitingTicket, now: datetime) -> Failure | None:
    """Why the ticket is not started again; None when it is."""
    if waiting.deaths >= MAX_DEATHS:
        error, cause = waiting.error, f"It came {waiting.deaths} times in a row: {waiting.cause}"
    elif now - waiting.since > MAX_WAIT:
        error = "WaitedTooLong"
        cause = f"The ticket waited since {timestamp(waiting.since)}, at last for: {waiting.error}"
    else:
        return None
    return {"error": error, "cause": cause, "failedAt": timestamp(now)}


def _give_up(ticket: Ticket, waiting: WaitingTicket, failure: Failure, name: str) -> None:
    # Publish first: a duplicate alert beats a lost one.
    TOPIC.publish(submission=waiting.submission, execution=waiting.execution, failure=failure)
    if stored := TABLE.find(ticket):
        TABLE.record_failure(
            stored.ticket_id, failure, execution=name, run=waiting.execution, now=datetime.now(UTC)
        )
    metrics.add_metric("TicketsGivenUp", MetricUnit.Count, 1)
    logger.error("ticket given up", error=failure["error"])
