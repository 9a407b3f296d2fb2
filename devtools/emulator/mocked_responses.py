"""Mocked responses of SFN_MOCK_CONFIG, attempt by attempt.

The emulator reads a state's mocked response once, when it enters the state, and so gives its error to every
attempt. On Step Functions Local each attempt has its own: a retry can succeed.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ministack.services import stepfunctions

from devtools.emulator import guard

Json = dict[str, Any]

_mocked_response = stepfunctions._get_mock_response
_task: ContextVar[tuple[Json, Json] | None] = ContextVar("task", default=None)


def install() -> None:
    """Extend the emulator."""
    guard.wrap(stepfunctions, "_get_mock_response", _once_for_all_attempts)
    guard.wrap(stepfunctions, "_execute_task", _execute_task)
    guard.wrap(stepfunctions, "_invoke_resource", _invoke_resource)


def _once_for_all_attempts(_original: Callable[..., Any], *_: Any) -> None:
    """No response: it is given when the task is attempted."""


def _execute_task(
    original: Callable[..., Any], state_def: Json, raw_input: Any, execution: Json, ctx: Json
) -> Any:
    token = _task.set((execution, ctx))
    try:
        return original(state_def, raw_input, execution, ctx)
    finally:
        _task.reset(token)


def _invoke_resource(original: Callable[..., Any], resource: str, input_data: Any) -> Any:
    response = _response_to_this_attempt()
    if response is None:
        return original(resource, input_data)
    if "Throw" in response:
        raise stepfunctions._ExecutionError(response["Throw"]["Error"], response["Throw"]["Cause"])
    return response["Return"]


def _response_to_this_attempt() -> Any:
    if (task := _task.get()) is None:
        return None  # TestState runs a task outside of an execution
    execution, ctx = task
    machine, state = ctx["StateMachine"]["Name"], ctx["State"]
    return _mocked_response(machine, execution.get("testCase", ""), state["Name"], state["RetryCount"])
