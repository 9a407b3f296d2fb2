"""Logs and metrics, alike for every task.

Every log line carries the ticket's id, the execution's name and (from Powertools) the trace id. Neither a
line nor a metric ever holds ticket content.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from support.domain.errors import PipelineError

logger = Logger()
metrics = Metrics()

type TaskHandler = Callable[[Mapping[str, Any], LambdaContext], dict[str, Any]]


def task(handler: TaskHandler) -> TaskHandler:
    """Make a function a state machine task: log its failures, count its outcomes, label its log lines.

    The event is `{"execution": str, "submission" | "ticket": {"ticketId": str, …}, …}`. Errors go on to the
    state machine as they are.
    """

    @logger.inject_lambda_context(clear_state=True)
    @metrics.log_metrics
    @wraps(handler)
    def observed(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        subject = event.get("ticket") or event.get("submission") or {}
        logger.append_keys(ticketId=subject.get("ticketId"), execution=event.get("execution"))
        try:
            result = handler(event, context)
        except PipelineError as error:
            logger.warning("task failed", error=type(error).__name__, reason=str(error))
            metrics.add_metric("TaskFailed", MetricUnit.Count, 1)
            raise
        metrics.add_metric("TaskSucceeded", MetricUnit.Count, 1)
        return result

    return observed
