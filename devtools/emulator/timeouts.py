"""TimeoutSeconds of a Task state and of a state machine.

The emulator ignores a state machine's TimeoutSeconds, and counts the wait for a worker (worker_limit), which
AWS does not have, into a Task's. On AWS

- a state machine that runs longer than TimeoutSeconds ends as TIMED_OUT at once, whatever its states do or
  catch. An EXPRESS one ends after five minutes in any case;
- a Task that runs longer than its TimeoutSeconds fails as States.Timeout, with an empty cause;
- the function that it invoked goes on in both cases: its answer is lost.

None of these seconds is scaled by the emulator's SFN_WAIT_SCALE.
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

from devtools.emulator import guard
from devtools.emulator.timer import Timer
from devtools.emulator.worker_limit import Call, invoking_for

Json = dict[str, Any]

_EXPRESS_SECONDS = 300
_TASK_SECONDS = 99_999_999  # AWS's default
# How often a timer that may stand still is looked at.
_STEP_SECONDS = 0.05

_machine: ContextVar[Timer] = ContextVar("machine")
_call: ContextVar[Call | None] = ContextVar("call", default=None)


class _MachineTimeoutError(BaseException):
    """The state machine's TimeoutSeconds are over: no Retry or Catch may see it, nor `except Exception`."""


def install() -> None:
    """Extend the emulator."""
    guard.wrap(stepfunctions, "_run_execution", _run_execution)
    guard.wrap(stepfunctions, "_add_event", _add_event)
    guard.wrap(stepfunctions, "_scaled_sleep", _scaled_sleep)
    guard.wrap(stepfunctions, "_execute_task", _execute_task)
    guard.replace(stepfunctions, "_invoke_resource_with_timeout", _invoke_resource)
    guard.wrap(stepfunctions, "_call_lambda", _call_lambda)


# --- The state machine ---


def _run_execution(original: Callable[..., None], exec_arn: str) -> None:
    execution = stepfunctions._executions.get(exec_arn)
    token = _machine.set(Timer(_timeout_seconds(execution) if execution else math.inf))
    try:
        original(exec_arn)
    except _MachineTimeoutError:
        _time_out(execution)
    finally:
        _machine.reset(token)


def _timeout_seconds(execution: Json) -> float:
    machine = stepfunctions._state_machines.get(execution["stateMachineArn"])
    try:
        seconds: float = json.loads(machine["definition"]).get("TimeoutSeconds", math.inf)
    except (TypeError, ValueError):
        return math.inf  # no machine or no definition: the emulator reports it
    return min(seconds, _EXPRESS_SECONDS) if machine["type"] == "EXPRESS" else seconds


def _time_out(execution: Json) -> None:
    error, cause = "States.Timeout", "The state machine ran longer than its TimeoutSeconds"
    execution |= {"status": "TIMED_OUT", "error": error, "cause": cause, "stopDate": now_iso()}
    details = {"error": error, "cause": cause}
    stepfunctions._add_event(execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": details})
    stepfunctions._emit_execution_status_event(execution)


def _remaining() -> float:
    """Seconds until the state machine's time-out; outside of an execution there is none."""
    timer = _machine.get(None)
    return timer.remaining() if timer else math.inf


def _add_event(original: Callable[..., Json], execution: Json, event_type: str, details: Any = None) -> Json:
    if event_type.endswith(("StateEntered", "StateExited", "TaskScheduled")) and _remaining() <= 0:
        raise _MachineTimeoutError
    return original(execution, event_type, details)


def _scaled_sleep(original: Callable[[float], None], seconds: float) -> None:
    remaining = _remaining()
    if seconds * stepfunctions._SFN_WAIT_SCALE < remaining:
        original(seconds)
        return
    time.sleep(max(0, remaining))
    raise _MachineTimeoutError


# --- The Task ---


def _execute_task(original: Callable[..., Any], state_def: Json, *args: Any) -> Any:
    # Without a limit of its own a task would not be interrupted by the state machine's.
    return original({"TimeoutSeconds": _TASK_SECONDS, **state_def}, *args)


def _invoke_resource(resource: str, input_data: Any, timeout: float) -> Any:
    """What the task answers, unless a limit is reached before."""
    task, machine = Timer(timeout), _machine.get(Timer(math.inf))
    call = Call(task, machine)
    future = _start(call, resource, input_data)
    while (left := min(task.remaining(), machine.remaining())) > 0:
        wait([future], timeout=max(left, _STEP_SECONDS))
        if future.done():
            return future.result()
    call.give_up()
    if machine.remaining() <= 0:
        raise _MachineTimeoutError
    raise stepfunctions._ExecutionError("States.Timeout", "")


def _start(call: Call, resource: str, input_data: Any) -> Future[Any]:
    # A thread does not inherit the account and the region of the execution by itself.
    context = copy_context()
    context.run(_call.set, call)
    pool = ThreadPoolExecutor(max_workers=1)
    future: Future[Any] = pool.submit(context.run, stepfunctions._invoke_resource, resource, input_data)
    pool.shutdown(wait=False)
    return future


def _call_lambda(original: Callable[..., Any], func_ref: str, event: Any) -> Any:
    with invoking_for(_call.get()):
        return original(func_ref, event)
