"""The metrics of executions in the namespace AWS/States.

AWS counts started and ended executions per state machine ARN. The emulator records no such metrics. This
module records ExecutionsStarted, ExecutionsSucceeded, ExecutionsFailed, ExecutionsTimedOut and
ExecutionsAborted. Executions that were started by a version or an alias also count under the state machine's
own ARN; that AWS does so is an assumption (docs/aws.md).

Source: Step Functions developer guide, "Monitoring Step Functions metrics using Amazon CloudWatch".
"""

from collections.abc import Callable
from typing import Any

from ministack.services import cloudwatch, stepfunctions

from devtools.emulator import patch

Json = dict[str, Any]

_END_METRICS = {
    "ExecutionSucceeded": "ExecutionsSucceeded",
    "ExecutionFailed": "ExecutionsFailed",
    "ExecutionTimedOut": "ExecutionsTimedOut",
    "ExecutionAborted": "ExecutionsAborted",
}


def install() -> None:
    """Extend the emulator."""
    patch.wrap(stepfunctions, "_run_execution", _run_execution)
    patch.wrap(stepfunctions, "_add_event", _add_event)


def _run_execution(original: Callable[..., None], exec_arn: str) -> None:
    if execution := stepfunctions._executions.get(exec_arn):
        _count(execution, "ExecutionsStarted")
    original(exec_arn)


def _add_event(original: Callable[..., Json], execution: Json, event_type: str, details: Any = None) -> Json:
    # The emulator lets a stopped execution finish its state, so it may end twice; only the first end counts.
    has_ended = any(event["type"] in _END_METRICS for event in execution["events"])
    event = original(execution, event_type, details)
    if event_type in _END_METRICS and not has_ended:
        _count(execution, _END_METRICS[event_type])
    return event


def _count(execution: Json, metric: str) -> None:
    dimensions = {"StateMachineArn": execution["stateMachineArn"]}
    cloudwatch.record_metric("AWS/States", metric, 1, "Count", dimensions)
