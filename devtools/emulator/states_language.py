"""Amazon States Language: retries, error names, JSON paths, intrinsic functions.

On AWS

- an execution begins at once; the emulator first waits for 150 ms;
- a retry waits for at most MaxDelaySeconds, and with `JitterStrategy: FULL` for a random part of the delay;
  the emulator ignores both fields;
- a path in Parameters, ItemSelector, ResultSelector, InputPath, OutputPath, an intrinsic function or a Choice
  that matches nothing is a `States.Runtime` error, except with `IsPresent`, for which a null is present; the
  emulator returns null;
- `States.MathRandom(start, end)` never returns the end;
- `States.ALL` and `States.TaskFailed` match neither `States.Runtime` nor `States.DataLimitExceeded`; in the
  emulator they match every error;
- an invocation that Lambda throttles fails with `Lambda.TooManyRequestsException`, not Lambda.Unknown.

Waits are scaled by the emulator's SFN_WAIT_SCALE, and no retry waits for more than its 60 s.

Sources: Step Functions developer guide, "Handling errors in Step Functions workflows" and "Intrinsic
functions"; https://states-language.net/spec.html
"""

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import stepfunctions

from devtools.emulator import patch

Json = dict[str, Any]

_TERMINAL_ERRORS = ("States.Runtime", "States.DataLimitExceeded")
_THROTTLE = "TooManyRequestsException"


def install() -> None:
    """Extend the emulator."""
    patch.replace_constant(stepfunctions, "_run_execution", 0.15, 0)
    patch.wrap(stepfunctions, "_call_lambda", _call_lambda)
    patch.wrap(stepfunctions, "_find_matching_retrier", _find_matching_retrier)
    patch.wrap(stepfunctions, "_error_matches", _error_matches)
    patch.wrap(stepfunctions, "_resolve_params_obj", _resolve_params_obj)
    patch.wrap(stepfunctions, "_eval_intrinsic_arg", _eval_intrinsic_arg)
    patch.wrap(stepfunctions, "_exec_intrinsic", _exec_intrinsic)
    patch.wrap(stepfunctions, "_apply_input_path", _apply_input_path)
    patch.wrap(stepfunctions, "_apply_output_path", _apply_output_path)
    patch.wrap(stepfunctions, "_evaluate_rule", _evaluate_rule)


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
    # The emulator waits for IntervalSeconds * BackoffRate ** count: with a rate of 1, that is our delay.
    delay = _retry_delay(retrier, retry_counts.get(index, 0))
    return {**retrier, "IntervalSeconds": delay, "BackoffRate": 1}, index


def _retry_delay(retrier: Json, count: int) -> float:
    """Seconds to wait before a retry, after `count` earlier retries."""
    delay = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** count
    delay = min(delay, retrier.get("MaxDelaySeconds", delay))
    if retrier.get("JitterStrategy") == "FULL":
        return random.uniform(0, delay)  # noqa: S311 (not a secret)
    return float(delay)


def _error_matches(original: Callable[..., bool], error_equals: list[str], error: str) -> bool:
    if error in _TERMINAL_ERRORS:
        return error in error_equals
    return original(error_equals, error)


# --- Paths that match nothing ---


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
        return _matches(steps, source) is rule["IsPresent"]
    _require(variable, data, ctx, "of the Choice ")
    return original(rule, data, ctx)


def _require(path: str, data: Any, ctx: Json | None, where: str = "") -> None:
    """Raise States.Runtime if a path matches nothing in the input or, with `$$`, in the context object."""
    source, steps = _source(path, data, ctx)
    # The emulator resolves a ResultSelector without a context object.
    if not path.startswith("$") or source is None or _matches(steps, source):
        return
    raise stepfunctions._ExecutionError(
        "States.Runtime",
        f"The JSONPath '{path}' {where}could not be found in the input '{json.dumps(source)}'",
    )


def _source(path: str, data: Any, ctx: Json | None) -> tuple[Any, str]:
    """The document that a path refers to, the input or the context object, and the path in it."""
    return (ctx, path[1:]) if path.startswith("$$.") else (data, path)


def _matches(path: str, data: Any) -> bool:
    for kind, key in stepfunctions._parse_jsonpath_tokens(path) or ():
        if kind == "wildcard":
            return True  # a wildcard may match no elements
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
    start, end = (int(stepfunctions._eval_intrinsic_arg(argument, data, ctx)) for argument in arguments[:2])
    return random.randrange(start, end)  # noqa: S311 (not a secret)
