"""Start, retry, time-out and missing paths of a state machine.

The emulator sleeps 150 ms before the first state, ignores `MaxDelaySeconds` and `JitterStrategy` of a Retry
and `TimeoutSeconds` of a state machine, gives null for a JSON path that points nowhere, and lets `States.ALL`
match every error. On AWS

- an execution begins at once;
- a retry waits at most MaxDelaySeconds, and with `JitterStrategy: FULL` a random part of it;
- a state machine that runs longer than TimeoutSeconds ends as TIMED_OUT, whatever its states catch. Here
  that is found out between states and in waits; a running task is not interrupted;
- a path in Parameters, ItemSelector, ResultSelector or an intrinsic function that points nowhere is a
  `States.Runtime` error;
- `States.ALL` and `States.TaskFailed` match neither `States.Runtime` nor `States.DataLimitExceeded`;
- an invocation that Lambda throttled is a `Lambda.TooManyRequestsException`, not Lambda.Unknown.

The waits stay scaled by the emulator's SFN_WAIT_SCALE, and no retry waits more than its 60 s;
TimeoutSeconds is not scaled.
"""

import json
import random
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import stepfunctions

from local.emulator import guard

Json = dict[str, Any]

_TERMINAL_ERRORS = ("States.Runtime", "States.DataLimitExceeded")
_NO_DEADLINE = float("inf")
_THROTTLE = "TooManyRequestsException"

_deadline: ContextVar[float] = ContextVar("deadline", default=_NO_DEADLINE)


class _MachineTimeoutError(BaseException):
    """The state machine's TimeoutSeconds are over: no Retry or Catch may see it, nor `except Exception`."""


def install() -> None:
    """Extend the emulator."""
    guard.replace_constant(stepfunctions, "_run_execution", 0.15, 0)
    guard.wrap(stepfunctions, "_call_lambda", _call_lambda)
    guard.wrap(stepfunctions, "_find_matching_retrier", _find_matching_retrier)
    guard.wrap(stepfunctions, "_error_matches", _error_matches)
    guard.wrap(stepfunctions, "_resolve_params_obj", _resolve_params_obj)
    guard.wrap(stepfunctions, "_eval_intrinsic_arg", _eval_intrinsic_arg)
    guard.wrap(stepfunctions, "_run_execution", _run_execution)
    guard.wrap(stepfunctions, "_add_event", _add_event)
    guard.wrap(stepfunctions, "_scaled_sleep", _scaled_sleep)


# --- Retry and Catch ---


def _call_lambda(original: Callable[..., Any], func_ref: str, event: Any) -> Any:
    try:
        return original(func_ref, event)
    except stepfunctions._ExecutionError as error:
        if error.error != "Lambda.Unknown" or _THROTTLE not in error.cause:
            raise
        raise stepfunctions._ExecutionError(f"Lambda.{_THROTTLE}", error.cause) from error


def _find_matching_retrier(
    original: Callable[..., Any], retriers: list[Json], error: str, retry_counts: Mapping[int, int]
) -> tuple[Json | None, int]:
    retrier, index = original(retriers, error, retry_counts)
    if retrier is None:
        return None, index
    # The emulator waits IntervalSeconds * BackoffRate ** count: with a rate of 1 it waits our delay.
    delay = _retry_delay(retrier, retry_counts.get(index, 0))
    return {**retrier, "IntervalSeconds": delay, "BackoffRate": 1}, index


def _retry_delay(retrier: Json, count: int) -> float:
    """Seconds before the retry after `count` earlier ones."""
    delay = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** count
    delay = min(delay, retrier.get("MaxDelaySeconds", delay))
    if retrier.get("JitterStrategy") == "FULL":
        return random.uniform(0, delay)  # noqa: S311 (no secret)
    return float(delay)


def _error_matches(original: Callable[..., bool], error_equals: list[str], error: str) -> bool:
    if error in _TERMINAL_ERRORS:
        return error in error_equals
    return original(error_equals, error)


# --- Paths that point nowhere ---


def _resolve_params_obj(
    original: Callable[..., Any], template: Any, data: Any, ctx: Json | None = None
) -> Any:
    if isinstance(template, dict):
        for field, path in template.items():
            if field.endswith(".$") and isinstance(path, str):
                _require(path, data, ctx, f"specified for the field '{field}' ")
    return original(template, data, ctx)


def _eval_intrinsic_arg(original: Callable[..., Any], arg: Any, data: Any, ctx: Json | None) -> Any:
    if arg[0] == "path":
        _require(arg[1], data, ctx)
    return original(arg, data, ctx)


def _require(path: str, data: Any, ctx: Json | None, where: str = "") -> None:
    """Raise States.Runtime when a path points nowhere in the input or, with `$$`, in the context."""
    source, steps = (ctx, path[1:]) if path.startswith("$$.") else (data, path)
    # The emulator resolves a ResultSelector without a context.
    if not path.startswith("$") or source is None or _points_somewhere(steps, source):
        return
    raise stepfunctions._ExecutionError(
        "States.Runtime",
        f"The JSONPath '{path}' {where}could not be found in the input '{json.dumps(source)}'",
    )


def _points_somewhere(path: str, data: Any) -> bool:
    for kind, key in stepfunctions._parse_jsonpath_tokens(path) or ():
        if kind == "wildcard":
            return True  # selects what there is
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True


# --- The machine's time-out ---


def _run_execution(original: Callable[..., None], exec_arn: str) -> None:
    execution = stepfunctions._executions.get(exec_arn)
    token = _deadline.set(time.monotonic() + _timeout_seconds(execution) if execution else _NO_DEADLINE)
    try:
        original(exec_arn)
    except _MachineTimeoutError:
        _time_out(execution)
    finally:
        _deadline.reset(token)


def _timeout_seconds(execution: Json) -> float:
    machine = stepfunctions._state_machines.get(execution["stateMachineArn"])
    try:
        seconds: float = json.loads(machine["definition"]).get("TimeoutSeconds", _NO_DEADLINE)
    except (TypeError, ValueError):
        return _NO_DEADLINE  # no machine or no definition: the emulator reports it
    return seconds


def _time_out(execution: Json) -> None:
    error, cause = "States.Timeout", "The state machine ran longer than its TimeoutSeconds"
    execution |= {"status": "TIMED_OUT", "error": error, "cause": cause, "stopDate": now_iso()}
    details = {"error": error, "cause": cause}
    stepfunctions._add_event(execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": details})
    stepfunctions._emit_execution_status_event(execution)


def _check_deadline() -> None:
    if time.monotonic() >= _deadline.get():
        raise _MachineTimeoutError


def _add_event(original: Callable[..., Json], execution: Json, event_type: str, details: Any = None) -> Json:
    if event_type.endswith(("StateEntered", "StateExited", "TaskScheduled")):
        _check_deadline()
    return original(execution, event_type, details)


def _scaled_sleep(original: Callable[[float], None], seconds: float) -> None:
    remaining = _deadline.get() - time.monotonic()
    if seconds * stepfunctions._SFN_WAIT_SCALE < remaining:
        original(seconds)
        return
    time.sleep(max(0, remaining))
    raise _MachineTimeoutError
