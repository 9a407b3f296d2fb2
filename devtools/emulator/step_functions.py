"""Start, retry, paths and intrinsic functions of a state machine.

The emulator sleeps 150 ms before the first state, ignores `MaxDelaySeconds` and `JitterStrategy` of a Retry,
gives null for a JSON path that points nowhere, and lets `States.ALL` match every error. On AWS

- an execution begins at once;
- a retry waits at most MaxDelaySeconds, and with `JitterStrategy: FULL` a random part of it;
- a path in Parameters, ItemSelector, ResultSelector, InputPath, OutputPath, an intrinsic function or a
  Choice that points nowhere is a `States.Runtime` error; `IsPresent` asks whether it does, also for a null;
- `States.MathRandom(start, end)` never gives the end;
- `States.ALL` and `States.TaskFailed` match neither `States.Runtime` nor `States.DataLimitExceeded`;
- an invocation that Lambda throttled is a `Lambda.TooManyRequestsException`, not Lambda.Unknown.

The waits stay scaled by the emulator's SFN_WAIT_SCALE, and no retry waits more than its 60 s.
"""

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import stepfunctions

from devtools.emulator import guard

Json = dict[str, Any]

_TERMINAL_ERRORS = ("States.Runtime", "States.DataLimitExceeded")
_THROTTLE = "TooManyRequestsException"


def install() -> None:
    """Extend the emulator."""
    guard.replace_constant(stepfunctions, "_run_execution", 0.15, 0)
    guard.wrap(stepfunctions, "_call_lambda", _call_lambda)
    guard.wrap(stepfunctions, "_find_matching_retrier", _find_matching_retrier)
    guard.wrap(stepfunctions, "_error_matches", _error_matches)
    guard.wrap(stepfunctions, "_resolve_params_obj", _resolve_params_obj)
    guard.wrap(stepfunctions, "_eval_intrinsic_arg", _eval_intrinsic_arg)
    guard.wrap(stepfunctions, "_exec_intrinsic", _exec_intrinsic)
    guard.wrap(stepfunctions, "_apply_input_path", _apply_input_path)
    guard.wrap(stepfunctions, "_apply_output_path", _apply_output_path)
    guard.wrap(stepfunctions, "_evaluate_rule", _evaluate_rule)


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


def _apply_input_path(
    original: Callable[..., Any], state_def: Json, data: Any, ctx: Json | None = None
) -> Any:
    _require(state_def.get("InputPath") or "$", data, ctx)
    return original(state_def, data, ctx)


def _apply_output_path(
    original: Callable[..., Any], state_def: Json, data: Any, ctx: Json | None = None
) -> Any:
    _require(state_def.get("OutputPath") or "$", data, ctx)
    return original(state_def, data, ctx)


def _evaluate_rule(original: Callable[..., bool], rule: Json, data: Any, ctx: Json | None = None) -> bool:
    variable = rule.get("Variable")
    if variable is None:  # And, Or, Not
        return original(rule, data, ctx)
    if "IsPresent" in rule:
        source, steps = _source(variable, data, ctx)
        return _points_somewhere(steps, source) is rule["IsPresent"]
    _require(variable, data, ctx, "of the Choice ")
    return original(rule, data, ctx)


def _require(path: str, data: Any, ctx: Json | None, where: str = "") -> None:
    """Raise States.Runtime when a path points nowhere in the input or, with `$$`, in the context."""
    source, steps = _source(path, data, ctx)
    # The emulator resolves a ResultSelector without a context.
    if not path.startswith("$") or source is None or _points_somewhere(steps, source):
        return
    raise stepfunctions._ExecutionError(
        "States.Runtime",
        f"The JSONPath '{path}' {where}could not be found in the input '{json.dumps(source)}'",
    )


def _source(path: str, data: Any, ctx: Json | None) -> tuple[Any, str]:
    """What a path points into, and the path from there on."""
    return (ctx, path[1:]) if path.startswith("$$.") else (data, path)


def _points_somewhere(path: str, data: Any) -> bool:
    for kind, key in stepfunctions._parse_jsonpath_tokens(path) or ():
        if kind == "wildcard":
            return True  # selects what there is
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True


# --- Intrinsic functions ---


def _exec_intrinsic(original: Callable[..., Any], node: Any, data: Any, ctx: Json | None) -> Any:
    _, name, arguments = node
    if name != "States.MathRandom":
        return original(node, data, ctx)
    start, end = (int(stepfunctions._eval_intrinsic_arg(one, data, ctx)) for one in arguments[:2])
    return random.randrange(start, end)  # noqa: S311 (no secret)
