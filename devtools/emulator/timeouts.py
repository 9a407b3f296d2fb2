"""TimeoutSeconds of a Task state and of a state machine.

On AWS

- an execution that runs longer than its state machine's TimeoutSeconds ends at once as TIMED_OUT, whatever
  its states do or catch. An EXPRESS execution ends after five minutes in any case;
- a Task that runs longer than its TimeoutSeconds fails with States.Timeout, and an empty cause;
- in both cases, the invoked function continues, and its result is lost.

The emulator ignores a state machine's TimeoutSeconds, and a Task's includes the wait for a worker
(worker_limit), which AWS does not have.

These timeouts are not scaled by the emulator's SFN_WAIT_SCALE.

Sources: https://docs.aws.amazon.com/step-functions/latest/dg/choosing-workflow-type.html and Step Functions
developer guide, "Task workflow state".
"""

import json
import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import ContextVar, copy_context
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import stepfunctions

from devtools.emulator import patch
from devtools.emulator.timer import Timer
from devtools.emulator.worker_limit import StateInvocation, invoking

Json = dict[str, Any]

_EXPRESS_SECONDS = 300
_TASK_SECONDS = 99_999_999  # AWS's default
# How often to check a timer, which may be paused.
_POLL_SECONDS = 0.05

# A call that timed out keeps its thread until it ends, so there are more threads than a burst needs.
_threads = ThreadPoolExecutor(max_workers=10_000)
_execution_timer: ContextVar[Timer] = ContextVar("execution_timer")
_invocation: ContextVar[StateInvocation | None] = ContextVar("invocation", default=None)


class _ExecutionTimeoutError(BaseException):
    """The execution timed out. Neither Retry, Catch nor `except Exception` may handle this exception."""


def install() -> None:
    """Extend the emulator."""
    patch.wrap(stepfunctions, "_run_execution", _run_execution)
    patch.wrap(stepfunctions, "_add_event", _add_event)
    patch.wrap(stepfunctions, "_scaled_sleep", _scaled_sleep)
    patch.wrap(stepfunctions, "_execute_task", _execute_task)
    patch.replace(stepfunctions, "_invoke_resource_with_timeout", _invoke_resource)
    patch.wrap(stepfunctions, "_call_lambda", _call_lambda)


# --- State machines ---


def _run_execution(original: Callable[..., None], exec_arn: str) -> None:
    execution = stepfunctions._executions.get(exec_arn)
    token = _execution_timer.set(Timer(_timeout_seconds(execution) if execution else math.inf))
    try:
        original(exec_arn)
    except _ExecutionTimeoutError:
        _time_out(execution)
    finally:
        _execution_timer.reset(token)


def _timeout_seconds(execution: Json) -> float:
    machine = stepfunctions._state_machines.get(execution["stateMachineArn"])
    try:
        seconds: float = json.loads(machine["definition"]).get("TimeoutSeconds", math.inf)
    except (TypeError, ValueError):
        return math.inf  # no state machine or no definition: the emulator reports the error
    return min(seconds, _EXPRESS_SECONDS) if machine["type"] == "EXPRESS" else seconds


def _time_out(execution: Json) -> None:
    error, cause = "States.Timeout", "The state machine ran longer than its TimeoutSeconds"
    execution |= {"status": "TIMED_OUT", "error": error, "cause": cause, "stopDate": now_iso()}
    details = {"error": error, "cause": cause}
    stepfunctions._add_event(execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": details})
    stepfunctions._emit_execution_status_event(execution)


def _remaining() -> float:
    """Seconds until the execution times out; infinite outside of an execution."""
    timer = _execution_timer.get(None)
    return timer.remaining() if timer else math.inf


def _add_event(original: Callable[..., Json], execution: Json, event_type: str, details: Any = None) -> Json:
    if event_type.endswith(("StateEntered", "StateExited", "TaskScheduled")) and _remaining() <= 0:
        raise _ExecutionTimeoutError
    return original(execution, event_type, details)


def _scaled_sleep(original: Callable[[float], None], seconds: float) -> None:
    remaining = _remaining()
    if seconds * stepfunctions._SFN_WAIT_SCALE < remaining:
        original(seconds)
        return
    time.sleep(max(0, remaining))
    raise _ExecutionTimeoutError


# --- Tasks ---


def _execute_task(original: Callable[..., Any], state_def: Json, *args: Any) -> Any:
    # The emulator interrupts only a task that has a timeout of its own.
    return original({"TimeoutSeconds": _TASK_SECONDS, **state_def}, *args)


def _invoke_resource(resource: str, input_data: Any, timeout: float) -> Any:
    """Return the task's result, unless the task or the execution times out first."""
    task_timer, execution_timer = Timer(timeout), _execution_timer.get(Timer(math.inf))
    invocation = StateInvocation(task_timer, execution_timer)
    future = _submit(invocation, resource, input_data)
    while (seconds := min(task_timer.remaining(), execution_timer.remaining())) > 0:
        wait([future], timeout=max(seconds, _POLL_SECONDS))
        if future.done():
            return future.result()
    invocation.cancel()
    if execution_timer.remaining() <= 0:
        raise _ExecutionTimeoutError
    raise stepfunctions._ExecutionError("States.Timeout", "")


def _submit(invocation: StateInvocation, resource: str, input_data: Any) -> Future[Any]:
    # A thread does not inherit the execution's account and region by itself.
    context = copy_context()
    context.run(_invocation.set, invocation)
    return _threads.submit(context.run, stepfunctions._invoke_resource, resource, input_data)


def _call_lambda(original: Callable[..., Any], func_ref: str, event: Any) -> Any:
    with invoking(_invocation.get()):
        return original(func_ref, event)
