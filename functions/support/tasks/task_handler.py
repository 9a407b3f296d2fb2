"""The decorator of the task handlers: labels their log lines, logs their errors and counts their outcomes.

Each call of a task logs one line at its end: `message` and `error` are its outcome, `durationMs` is the time
that it took.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws.telemetry import logger, record, stopwatch
from support.domain.errors import PipelineError, TransientError
from support.domain.metrics import TASK_FAILED, TASK_SUCCEEDED, UNEXPECTED

# After a permanent error the task is not retried.
FAILED_FOR_NOW = "task failed; it is retried if attempts are left"

type TaskHandler = Callable[[Mapping[str, Any], LambdaContext], dict[str, Any]]


def task_handler(step: str, **other_steps: str) -> Callable[[TaskHandler], TaskHandler]:
    """Label log lines with ticket, execution and duration; log errors, count outcomes; raise errors again.

    The event is `{"execution": str, "submission" | "ticket": {"ticketId": str, …}, …}`. Outcomes
    count for the state `step`, or for the one of `other_steps` whose name is a field of the event.
    """

    def decorate(handler: TaskHandler) -> TaskHandler:
        @logger.inject_lambda_context(clear_state=True)
        @wraps(handler)
        def observed(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
            stopwatch.start()
            subject = event.get("ticket") or event.get("submission") or {}
            logger.append_keys(ticketId=subject.get("ticketId"), execution=event.get("execution"))
            name = next((other_steps[field] for field in other_steps if field in event), step)
            try:
                result = handler(event, context)
            except Exception as error:
                record({TASK_FAILED: 1}, Step=name, Error=_observe(error))
                raise
            record({TASK_SUCCEEDED: 1}, Step=name)
            return result

        return observed

    return decorate


def _observe(error: Exception) -> str:
    """Log an error, and return the metric's value for it."""
    if not isinstance(error, PipelineError):
        # Only the name: the message of a defect may quote the ticket.
        logger.error("task crashed", error=type(error).__name__)
        return UNEXPECTED
    # The state machine decides whether attempts are left; the outcome is logged as the ticket's.
    message = FAILED_FOR_NOW if isinstance(error, TransientError) else "task failed"
    logger.warning(message, error=type(error).__name__, reason=str(error))
    return type(error).__name__
