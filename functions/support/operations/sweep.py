"""Sweep: tickets that got stuck where no Catch could see it are started again, and given up loudly."""

import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws import clients
from support.aws.parameters import NumberParameter
from support.aws.pending import PendingTickets
from support.aws.pipeline import TicketPipeline
from support.aws.table import TicketTable
from support.aws.telemetry import logger, metrics
from support.aws.topics import FailureTopic
from support.domain.errors import PipelineError
from support.domain.ticket import Failure, Ticket, timestamp

TABLE = TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])
PENDING = PendingTickets(clients.dynamodb(), os.environ["TICKETS_TABLE"])
PIPELINE = TicketPipeline(clients.stepfunctions(), os.environ["STATE_MACHINE_ARN"])
TOPIC = FailureTopic(clients.sns(), os.environ["FAILURE_TOPIC_ARN"])
# Longer than an execution lasts: what one still works on is not stuck.
SWEEP_AFTER_SECONDS = NumberParameter(
    clients.ssm(), os.environ["SWEEP_AFTER_SECONDS_PARAMETER"], minimum=300, maximum=86400
)
MAX_SWEEPS = 3
# Bounds one run; the next one, minutes later, goes on with what is left.
MAX_TICKETS = 200


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """Sweep once; return how many tickets were `restarted`, `given_up`, `left` alone, and met a `fault`."""
    now = datetime.now(UTC)
    stuck_since = now - timedelta(seconds=SWEEP_AFTER_SECONDS.value())
    outcomes = Counter(restarted=0, given_up=0, left=0, fault=0)
    for ticket_id in islice(PENDING.since_before(stuck_since), MAX_TICKETS):
        logger.append_keys(ticketId=ticket_id)
        outcomes[_sweep(ticket_id, now, stuck_since)] += 1
    logger.remove_keys(["ticketId"])
    logger.info("swept", outcomes=dict(outcomes))
    metrics.add_metric("TicketsSwept", MetricUnit.Count, outcomes["restarted"])
    metrics.add_metric("TicketsGivenUp", MetricUnit.Count, outcomes["given_up"])
    metrics.add_metric("SweepFaults", MetricUnit.Count, outcomes["fault"])
    return dict(outcomes)


def _sweep(ticket_id: str, now: datetime, stuck_since: datetime) -> str:
    try:
        ticket = TABLE.get(ticket_id)
        if ticket is None or not ticket.pending_since or ticket.pending_since >= timestamp(stuck_since):
            return "left"
        return _give_up(ticket, now) if (ticket.sweeps or 0) >= MAX_SWEEPS else _restart(ticket, now)
    except PipelineError as error:
        # The ticket stays pending, so the next run meets it again; one ticket's trouble is not the others'.
        logger.error("sweep failed", error=type(error).__name__, reason=str(error))
        return "fault"


def _restart(ticket: Ticket, now: datetime) -> str:
    claimed = TABLE.claim(ticket, sweeps=(ticket.sweeps or 0) + 1, now=now)
    if claimed is None:
        return "left"
    name = f"{ticket.ticket_id}-s{claimed.attempts}"
    PIPELINE.start(name, ticket.to_submission())
    logger.info("ticket swept", execution=name)
    return "restarted"


def _give_up(ticket: Ticket, now: datetime) -> str:
    failure: Failure = {
        "error": "TicketStuck",
        "cause": f"The ticket did not get through in {MAX_SWEEPS} sweeps.",
        "failedAt": timestamp(now),
    }
    # Told first: to be told twice beats never.
    TOPIC.publish(
        submission=ticket.to_submission(),
        execution=f"{ticket.ticket_id}-s{ticket.attempts}",
        failure=failure,
    )
    TABLE.give_up(ticket, failure)
    logger.error("ticket given up", error=failure["error"])
    return "given_up"
