"""The metrics of functions in the namespace AWS/Lambda.

Lambda records Invocations, Errors, Throttles and Duration of every invocation. The emulator records them only
for calls of Lambda's API, with the time that the whole request took. This module records them for each
invocation, whoever made it: a state machine, a queue, a schedule or an API. The wait for a worker does not
count (see worker_limit).

Source: Lambda developer guide, "Types of metrics for Lambda functions".
"""

import time
from collections.abc import Callable
from typing import Any

from ministack.services import cloudwatch, lambda_svc

from devtools.emulator import patch

Json = dict[str, Any]


def install() -> None:
    """Extend the emulator."""
    patch.wrap(lambda_svc, "_execute_function_warm", _execute)
    patch.wrap(lambda_svc, "_emit_lambda_metrics", _emit_lambda_metrics)


def _execute(original: Callable[..., Json], func: Json, event: Any, request_id: str) -> Json:
    started = time.monotonic()
    result = original(func, event, request_id)
    name = (func.get("config") or func)["FunctionName"]
    _record(name, "Invocations", 1)
    _record(name, "Errors", bool(result.get("error")))
    _record(name, "Throttles", 0)
    _record(name, "Duration", (time.monotonic() - started) * 1000, "Milliseconds")
    return result


def _emit_lambda_metrics(
    _original: Callable[..., None],
    function_name: str,
    duration_ms: float,
    error: bool,  # noqa: ARG001 - the emulator passes it
    throttle: bool,
) -> None:
    # A throttled invocation is reported twice: when it is refused, without a duration, and by the API.
    if throttle and not duration_ms:
        _record(function_name, "Throttles", 1)


def _record(function: str, metric: str, value: float, unit: str = "Count") -> None:
    cloudwatch.record_metric("AWS/Lambda", metric, value, unit, {"FunctionName": function})
