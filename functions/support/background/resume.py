"""Resume: run the state machine for each ticket in the waiting room."""

import os
import random
from datetime import UTC, datetime, timedelta

from aws_lambda_powertools.utilities.data_classes import SQSEvent, event_source
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws import clients
from support.aws.queues import FailedTicketsQueue
from support.aws.state_machine import ExecutionResult, StateMachine
from support.aws.table import TicketTable
from support.aws.telemetry import logger, record
from support.aws.topics import FailureTopic
from support.aws.waiting_room import WaitingRoom
from support.background.pace import Pace
from support.domain.errors import InvalidTicket, StartUnavailable
from support.domain.metrics import TICKETS_FAILED, TICKETS_GIVEN_UP, TICKETS_REPLAYED, TICKETS_RESUMED
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Failure
from support.domain.waiting import WaitingTicket

STATE_MACHINE = StateMachine(clients.stepfunctions(), os.environ["STATE_MACHINE_ARN"])
TABLE = TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])
TOPIC = FailureTopic(clients.sns(), os.environ["FAILURE_TOPIC_ARN"])
WAITING_ROOM = WaitingRoom(
    clients.sqs(), os.environ["WAITING_ROOM_URL"], os.environ["PRIORITY_WAITING_ROOM_URL"]
)
FAILED_TICKETS = FailedTicketsQueue(clients.sqs(), os.environ["FAILED_TICKETS_QUEUE_URL"])
MAX_WAIT = timedelta(hours=int(os.environ["MAX_WAIT_HOURS"]))
# Consecutive executions in which a function crashed or timed out: then the ticket itself is the cause.
MAX_DEATHS = 3
# Seconds before a deferred ticket is received again, as in the state machine's Defer Ticket.
DELAY = (1, 20)
PACE = Pace()
# The operating system's: see Pace.
RANDOM = random.SystemRandom()


@logger.inject_lambda_context(clear_state=True)
@event_source(data_class=SQSEvent)
def handler(event: SQSEvent, _context: LambdaContext) -> None:
    """Resume the ticket in the batch, which has one message; Lambda then deletes the message.

    It is no longer needed: the ticket was processed, or failed, or has a new message in the waiting room, or
    another execution is processing it.

    Raises: QueueUnavailable, QueueRejected, NotifyUnavailable, NotifyRejected, StoreUnavailable,
    StoreRejected, StartRejected. SQS then delivers the message again.
    """
    for message in event.records:
        record({TICKETS_RESUMED: 1})
        try:
            _resume(message, datetime.now(UTC))
        except InvalidTicket as error:
            FAILED_TICKETS.send(message.body)
            logger.error("message set aside", reason=str(error), messageId=message.message_id)


def _resume(message: SQSRecord, now: datetime) -> None:
    waiting = WaitingTicket.from_message(message.body, now)
    if waiting.is_replay:
        record({TICKETS_REPLAYED: 1})
    ticket = Ticket.from_submission(waiting.submission, now=now, retention_days=0)
    # Derived from the message, so that a message that is delivered twice has one execution name.
    name = f"{ticket.ticket_id}-r{message.message_id[:8]}"
    logger.append_keys(ticketId=ticket.ticket_id, execution=name)
    if failure := _failure(waiting, now):
        _give_up(ticket, waiting, failure, name)
    else:
        _run(waiting, name)


def _run(waiting: WaitingTicket, name: str) -> None:
    PACE.wait()
    try:
        result = STATE_MACHINE.run(name, waiting.to_input())
    except StartUnavailable as error:
        result = ExecutionResult(
            execution=waiting.execution, uncaught_error="StartUnavailable", cause=str(error)
        )
    if result.uncaught_error:
        again = waiting.deferred_again(
            execution=result.execution, error=result.uncaught_error, cause=result.cause
        )
        WAITING_ROOM.send(again, datetime.now(UTC), delay=RANDOM.randint(*DELAY))
    if result.deferral_error or result.uncaught_error:
        PACE.slow_down()
    else:
        PACE.speed_up()
    logger.info("ticket resumed", deferralError=result.deferral_error, uncaughtError=result.uncaught_error)


def _failure(waiting: WaitingTicket, now: datetime) -> Failure | None:
    """The failure of a ticket that is given up; None when it is resumed."""
    if waiting.deaths >= MAX_DEATHS:
        error, cause = waiting.error, f"The error occurred {waiting.deaths} times in a row: {waiting.cause}"
    elif now - waiting.since > MAX_WAIT:
        error = "WaitedTooLong"
        cause = f"The ticket has waited since {timestamp(waiting.since)}; the last reason is {waiting.error}."
    else:
        return None
    return {"error": error, "cause": cause, "failedAt": timestamp(now)}


def _give_up(ticket: Ticket, waiting: WaitingTicket, failure: Failure, name: str) -> None:
    # Publish first: a duplicate alert beats a lost one.
    TOPIC.publish(submission=waiting.submission, execution=waiting.execution, failure=failure)
    if stored := TABLE.find(ticket):
        TABLE.record_failure(
            stored.ticket_id,
            failure,
            execution_name=name,
            execution_arn=waiting.execution,
            now=datetime.now(UTC),
        )
    record({TICKETS_GIVEN_UP: 1, TICKETS_FAILED: 1})
    logger.error("ticket given up", error=failure["error"])
