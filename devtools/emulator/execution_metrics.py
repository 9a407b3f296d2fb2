"""The metrics of executions, AWS/States.

The emulator records none. AWS counts how executions begin and end by the ARN of their state machine. This
module records ExecutionsStarted, ExecutionsSucceeded, ExecutionsFailed, ExecutionsTimedOut and
ExecutionsAborted in the same way, also for executions that a version or an alias started. That AWS counts
these under the state machine's own ARN, too, is an assumption (docs/aws.md).
"""

from collections.abc import Callable
from typing import Any

from ministack.services import cloudwatch, stepfunctions

from devtools.emulator import guard

Json = dict[str, Any]

_ENDS = {
    "ExecutionSucceeded": "ExecutionsSucceeded",
    "ExecutionFailed": "ExecutionsFailed",
    "ExecutionTimedOut": "ExecutionsTimedOut",
    "ExecutionAborted": "ExecutionsAborted",
}


def install() -> None:
    """Extend the emulator."""
    guard.wrap(stepfunctions, "_run_execution", _run_execution)
    guard.wrap(stepfunctions, "_add_event", _add_event)


def _run_execution(original: Callable[..., None], exec_arn: str) -> None:
    if execution := stepfunctions._executions.get(exec_arn):
        _count(execution, "ExecutionsStarted")
    original(exec_arn)


def _add_event(original: Callable[..., Json], execution: Json, event_type: str, details: Any = None) -> Json:
    # The emulator lets a stopped execution finish its state: only the first end counts.
    has_ended = any(event["type"] in _ENDS for event in execution["events"])
    event = original(execution, event_type, details)
    if event_type in _ENDS and not has_ended:
        _count(execution, _ENDS[event_type])
    return event


def _count(execution: Json, metric: str) -> None:
    dimensions = {"StateMachineArn": execution["stateMachineArn"]}
    cloudwatch.record_metric("AWS/States", metric, 1, "Count", dimensions)
