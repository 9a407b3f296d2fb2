"""Mocked responses (SFN_MOCK_CONFIG): one for each attempt.

In Step Functions Local, each attempt of a task has its own mocked response, so that a retry can succeed. The
emulator reads a state's mocked response once, when it enters the state, and uses it for all attempts.

Source: Step Functions developer guide, "Testing state machines with Step Functions Local" (mocked service
integrations).
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ministack.services import stepfunctions

from devtools.emulator import patch

Json = dict[str, Any]

_get_mock_response = stepfunctions._get_mock_response
_task: ContextVar[tuple[Json, Json] | None] = ContextVar("task", default=None)


def install() -> None:
    """Extend the emulator."""
    patch.wrap(stepfunctions, "_get_mock_response", _no_response_for_the_state)
    patch.wrap(stepfunctions, "_execute_task", _execute_task)
    patch.wrap(stepfunctions, "_invoke_resource", _invoke_resource)


def _no_response_for_the_state(_original: Callable[..., Any], *_: Any) -> None:
    """Return no response for the state as a whole: _invoke_resource returns that of each attempt."""


def _execute_task(
    original: Callable[..., Any], state_def: Json, raw_input: Any, execution: Json, ctx: Json
) -> Any:
    token = _task.set((execution, ctx))
    try:
        return original(state_def, raw_input, execution, ctx)
    finally:
        _task.reset(token)


def _invoke_resource(original: Callable[..., Any], resource: str, input_data: Any) -> Any:
    response = _response_for_this_attempt()
    if response is None:
        return original(resource, input_data)
    if "Throw" in response:
        raise stepfunctions._ExecutionError(response["Throw"]["Error"], response["Throw"]["Cause"])
    return response["Return"]


def _response_for_this_attempt() -> Any:
    if (task := _task.get()) is None:
        return None  # TestState runs a task without an execution
    execution, ctx = task
    machine, state = ctx["StateMachine"]["Name"], ctx["State"]
    return _get_mock_response(machine, execution.get("testCase", ""), state["Name"], state["RetryCount"])
