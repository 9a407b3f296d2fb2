"""Sweep: tickets that got stuck where no Catch could see it are started again, and given up loudly."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws import clients
from support.aws.parameters import NumberParameter
from support.aws.pending import PendingTickets
from support.aws.telemetry import logger, metrics
from support.operations.stuck import Outcome, sweep_ticket

PENDING = PendingTickets(clients.dynamodb(), os.environ["TICKETS_TABLE"])
# Longer than an execution lasts: what one still works on is not stuck.
SWEEP_AFTER_SECONDS = NumberParameter(
    clients.ssm(), os.environ["SWEEP_AFTER_SECONDS_PARAMETER"], minimum=300, maximum=86400
)
# A run ends when it has started so many tickets, when AWS was unavailable so often in a row, or when the time
# left is less than one ticket may take. The next run, minutes later, goes on.
MAX_RESTARTS = 200
MAX_UNAVAILABLE = 10
MIN_MILLISECONDS = 15_000
METRICS = {
    Outcome.RESTARTED: "TicketsSwept",
    Outcome.GIVEN_UP: "TicketsGivenUp",
    Outcome.SET_ASIDE: "TicketsSetAside",
    Outcome.FAULT: "SweepFaults",
    Outcome.UNAVAILABLE: "SweepsUnavailable",
}


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Sweep once; return how many tickets met each outcome, e.g. `{"restarted": 2, "given_up": 0, …}`."""
    now = datetime.now(UTC)
    stuck_since = now - timedelta(seconds=SWEEP_AFTER_SECONDS.value())
    outcomes: list[Outcome] = []
    for ticket_id in PENDING.since_before(stuck_since):
        if _is_over(outcomes, context):
            logger.warning("sweep ended before its last ticket")
            break
        logger.append_keys(ticketId=ticket_id)
        outcomes.append(sweep_ticket(ticket_id, now, stuck_since))
        logger.remove_keys(["ticketId"])
    counts = {outcome.value: outcomes.count(outcome) for outcome in Outcome}
    logger.info("swept", outcomes=counts)
    for outcome, metric in METRICS.items():
        metrics.add_metric(metric, MetricUnit.Count, counts[outcome])
    return counts


def _is_over(outcomes: list[Outcome], context: LambdaContext) -> bool:
    return (
        outcomes.count(Outcome.RESTARTED) >= MAX_RESTARTS
        or outcomes[-MAX_UNAVAILABLE:] == [Outcome.UNAVAILABLE] * MAX_UNAVAILABLE
        or context.get_remaining_time_in_millis() < MIN_MILLISECONDS
    )
