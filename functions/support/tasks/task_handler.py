"""The decorator of the task handlers: labels their log lines, logs their errors and counts their outcomes.

Each call of a task logs one line at its end: `message` and `error` are its outcome, `durationMs` is the time
that it took.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws.telemetry import logger, metrics, stopwatch
from support.domain.errors import PipelineError, TransientError

# After a permanent error the task is not retried.
FAILED_FOR_NOW = "task failed; it is retried if attempts are left"

type TaskHandler = Callable[[Mapping[str, Any], LambdaContext], dict[str, Any]]


def task_handler(handler: TaskHandler) -> TaskHandler:
    """Label log lines with ticket, execution and duration; log errors, count outcomes; raise errors again.

    The event is `{"execution": str, "submission" | "ticket": {"ticketId": str, …}, …}`.
    """

    @logger.inject_lambda_context(clear_state=True)
    @metrics.log_metrics
    @wraps(handler)
    def observed(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        stopwatch.start()
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
        except Exception as error:
            # Only the name: the message of a defect may quote the ticket.
            logger.error("task crashed", error=type(error).__name__)
            metrics.add_metric("TaskFailed", MetricUnit.Count, 1)
            raise
        metrics.add_metric("TaskSucceeded", MetricUnit.Count, 1)
        return result

    return observed
