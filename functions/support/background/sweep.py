"""Sweep: send stuck tickets, whose execution ended without a Catch, to the waiting room."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws import clients
from support.aws.parameters import NumberParameter
from support.aws.pending import PendingTickets, WaitingEntry
from support.aws.telemetry import logger, record
from support.background.stuck_ticket import Outcome, sweep_ticket
from support.domain import metrics

PENDING = PendingTickets(clients.dynamodb(), os.environ["TICKETS_TABLE"])
# Longer than an execution may last, so that no ticket that is being processed is swept.
SWEEP_AFTER_SECONDS = NumberParameter(
    clients.ssm(), os.environ["SWEEP_AFTER_SECONDS_PARAMETER"], minimum=300, maximum=86400
)
MAX_WAIT = timedelta(hours=int(os.environ["MAX_WAIT_HOURS"]))
# Resume gives a ticket up after MAX_WAIT; one that waits for longer has lost its message.
OVERDUE = MAX_WAIT + timedelta(hours=1)
# A run ends after so many consecutive UNAVAILABLE outcomes, or when the remaining time may be too short for
# another ticket. The next run, minutes later, continues.
MAX_UNAVAILABLE = 10
MIN_MILLISECONDS = 15_000
METRICS = {
    Outcome.SWEPT: metrics.TICKETS_SWEPT,
    Outcome.SET_ASIDE: metrics.TICKETS_SET_ASIDE,
    Outcome.FAULT: metrics.SWEEP_FAULTS,
    Outcome.UNAVAILABLE: metrics.SWEEPS_UNAVAILABLE,
}


@logger.inject_lambda_context(clear_state=True)
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Sweep once; return the number of tickets by outcome, e.g. `{"swept": 2, "set_aside": 0, …}`.

    Also measures the waiting room: the number of tickets, and the age of the oldest in seconds.
    """
    now = datetime.now(UTC)
    waiting = list(PENDING.waiting())
    _measure(waiting, now)
    outcomes: list[Outcome] = []
    for ticket_id in _stuck(waiting, now):
        if _is_over(outcomes, context):
            logger.warning("sweep ended before its last ticket")
            break
        logger.append_keys(ticketId=ticket_id)
        outcomes.append(sweep_ticket(ticket_id, now, now - OVERDUE))
        logger.remove_keys(["ticketId"])
    counts = {outcome.value: outcomes.count(outcome) for outcome in Outcome}
    logger.info("swept", outcomes=counts)
    record({metric: counts[outcome] for outcome, metric in METRICS.items()})
    return counts


def _stuck(waiting: list[WaitingEntry], now: datetime) -> Iterator[str]:
    """The ids of tickets that have waited too long, and of pending ones that nothing is processing."""
    yield from (entry.ticket_id for entry in waiting if entry.since < now - OVERDUE)
    in_waiting_room = {entry.ticket_id for entry in waiting}
    stuck_since = now - timedelta(seconds=SWEEP_AFTER_SECONDS.value())
    yield from (
        ticket_id for ticket_id in PENDING.pending_before(stuck_since) if ticket_id not in in_waiting_room
    )


def _measure(waiting: list[WaitingEntry], now: datetime) -> None:
    oldest = min((entry.since for entry in waiting), default=now)
    record(
        {metrics.TICKETS_WAITING: len(waiting), metrics.OLDEST_TICKET_WAITING: (now - oldest).total_seconds()}
    )


def _is_over(outcomes: list[Outcome], context: LambdaContext) -> bool:
    return (
        outcomes[-MAX_UNAVAILABLE:] == [Outcome.UNAVAILABLE] * MAX_UNAVAILABLE
        or context.get_remaining_time_in_millis() < MIN_MILLISECONDS
    )
