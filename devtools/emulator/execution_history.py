"""The events of tasks in the history of an execution.

On AWS, a task writes TaskScheduled with its region and parameters, then TaskStarted, and finally
TaskSucceeded, TaskFailed or, if it ran longer than its TimeoutSeconds, TaskTimedOut. The emulator's
TaskScheduled has neither, there is no TaskStarted, and a task that timed out has failed.

Source: Step Functions API reference, HistoryEvent, TaskScheduledEventDetails and TaskTimedOutEventDetails.
"""

import json
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ministack.core.responses import get_region
from ministack.services import stepfunctions

from devtools.emulator import patch

Json = dict[str, Any]

# The effective parameters of the state that the thread of an execution runs.
_parameters: ContextVar[Any] = ContextVar("parameters")


def install() -> None:
    """Extend the emulator."""
    patch.wrap(stepfunctions, "_apply_parameters", _apply_parameters)
    patch.wrap(stepfunctions, "_add_event", _add_event)


def _apply_parameters(original: Callable[..., Any], *args: Any) -> Any:
    parameters = original(*args)
    _parameters.set(parameters)
    return parameters


def _add_event(original: Callable[..., Json], execution: Json, event_type: str, details: Any = None) -> Json:
    match event_type:
        case "TaskScheduled":
            task = details["taskScheduledEventDetails"]
            event = original(execution, event_type, {"taskScheduledEventDetails": task | _details_of_task()})
            original(execution, "TaskStarted", {"taskStartedEventDetails": task})
            return event
        case "TaskFailed" if details["taskFailedEventDetails"]["error"] == "States.Timeout":
            timed_out = {"taskTimedOutEventDetails": details["taskFailedEventDetails"]}
            return original(execution, "TaskTimedOut", timed_out)
    return original(execution, event_type, details)


def _details_of_task() -> Json:
    # A JSONata state has arguments instead, which the emulator does not resolve in one place.
    parameters = _parameters.get(None)
    return {
        "region": get_region(),
        **({} if parameters is None else {"parameters": json.dumps(parameters, ensure_ascii=False)}),
    }
