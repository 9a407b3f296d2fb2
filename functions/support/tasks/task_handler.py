"""The decorator of the task handlers: labels their log lines, logs their errors and counts their outcomes."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws.telemetry import logger, metrics
from support.domain.errors import PipelineError, TransientError

# After a permanent error the task is not retried.
FAILED_FOR_NOW = "task failed; it is retried if attempts are left"

type TaskHandler = Callable[[Mapping[str, Any], LambdaContext], dict[str, Any]]


def task_handler(handler: TaskHandler) -> TaskHandler:
    """Label every log line with ticket and execution; log errors and count outcomes; raise errors again.

    The event is `{"execution": str, "submission" | "ticket": {"ticketId": str, …}, …}`.
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
            # The state machine decides whether attempts are left; the outcome is logged as the ticket's.
            message = FAILED_FOR_NOW if isinstance(error, TransientError) else "task failed"
            logger.warning(message, error=type(error).__name__, reason=str(error))
            metrics.add_metric("TaskFailed", MetricUnit.Count, 1)
            raise
        metrics.add_metric("TaskSucceeded", MetricUnit.Count, 1)
        return result

    return observed
