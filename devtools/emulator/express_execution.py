"""Executions of an EXPRESS state machine: their ARNs, and how they are started.

On AWS

- they may share a name: each has an ARN of its own, `arn:…:express:MACHINE:NAME:UUID`, which is also its
  `$$.Execution.Id`;
- StartSyncExecution takes the ARN of the state machine, of a version or of an alias, and answers when the
  execution has ended: one that SUCCEEDED with its output, one that FAILED or is TIMED_OUT with its error and
  cause and without an output. For a STANDARD machine it is StateMachineTypeNotSupported;
- an input that is not JSON is InvalidExecutionInput;
- EventBridge gets no event.

The emulator derives the ARN from the name, `arn:…:execution:MACHINE:NAME`: StartExecution refuses a name that
was used before, and StartSyncExecution overwrites the execution that used it. It runs no version and no alias
synchronously, and answers with an output whatever became of the execution. This module starts the executions
of EXPRESS machines in the emulator's place.
"""

import json
import threading
import uuid
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any

from ministack.core.responses import (
    error_response_json,
    get_account_id,
    get_region,
    json_response,
    now_iso,
)
from ministack.services import stepfunctions

from devtools.emulator import guard

Json = dict[str, Any]

_ANSWERED = ("executionArn", "stateMachineArn", "name", "startDate", "stopDate", "status")

# Set while a state runs another state machine by `states:startExecution.sync`, which may be a STANDARD one.
_nested: ContextVar[bool] = ContextVar("nested", default=False)


def install() -> None:
    """Extend the emulator."""
    guard.wrap(stepfunctions, "_start_execution", _start_execution)
    guard.wrap(stepfunctions, "_start_sync_execution", _start_sync_execution)
    guard.wrap(stepfunctions, "_invoke_nested_start_execution_sync", _invoke_nested)


def _start_execution(original: Callable[..., Any], data: Json) -> Any:
    machine = _machine(data)
    if machine is None or machine["type"] != "EXPRESS":
        return original(data)
    if refusal := _refusal(data):
        return refusal
    execution = _new_execution(machine, data)
    # A thread does not inherit the account and the region of the request by itself.
    run = (stepfunctions._run_execution, execution["executionArn"])
    threading.Thread(target=copy_context().run, args=run, daemon=True).start()
    return json_response({name: execution[name] for name in ("executionArn", "startDate")})


def _start_sync_execution(original: Callable[..., Any], data: Json) -> Any:
    machine = _machine(data)
    if machine is None or _nested.get():
        return original(data)
    if machine["type"] != "EXPRESS":
        message = "This operation is not supported by this type of state machine"
        return error_response_json("StateMachineTypeNotSupported", message, 400)
    if refusal := _refusal(data):
        return refusal
    execution = _new_execution(machine, data)
    stepfunctions._run_execution(execution["executionArn"])
    return json_response(_answer(execution))


def _invoke_nested(original: Callable[..., Any], *args: Any) -> Any:
    token = _nested.set(True)
    try:
        return original(*args)
    finally:
        _nested.reset(token)


def _machine(data: Json) -> Json | None:
    arn = data.get("stateMachineArn", "").partition("#")[0]
    machine: Json | None = stepfunctions._state_machines.get(stepfunctions._resolve_state_machine_arn(arn))
    return machine


def _refusal(data: Json) -> Any:
    try:
        json.loads(data.get("input", "{}"))
    except ValueError:
        return error_response_json("InvalidExecutionInput", "Invalid State Machine Execution Input", 400)
    return None


def _new_execution(machine: Json, data: Json) -> Json:
    """The record of an execution, as the emulator keeps it."""
    name, text, now = data.get("name") or str(uuid.uuid4()), data.get("input", "{}"), now_iso()
    account = f"arn:aws:states:{get_region()}:{get_account_id()}"
    started = {"input": text, "roleArn": machine["roleArn"]}
    execution = {
        "executionArn": f"{account}:express:{machine['name']}:{name}:{uuid.uuid4()}",
        "stateMachineArn": machine["stateMachineArn"],
        "name": name,
        "status": "RUNNING",
        "startDate": now,
        "stopDate": None,
        "input": text,
        "output": None,
        "testCase": data["stateMachineArn"].partition("#")[2],
        "mockAttempts": {},
        "sync": True,  # the emulator's word for: without events
        "events": [
            {"id": 1, "type": "ExecutionStarted", "timestamp": now, "executionStartedEventDetails": started}
        ],
    }
    stepfunctions._executions[execution["executionArn"]] = execution
    return execution


def _answer(execution: Json) -> Json:
    answer = {name: execution[name] for name in (*_ANSWERED, "input")}
    if execution["status"] == "SUCCEEDED":
        answer["output"] = execution["output"]
    else:
        answer |= {"error": execution["error"], "cause": execution["cause"]}
    return answer | {"inputDetails": {"included": True}, "outputDetails": {"included": True}}
