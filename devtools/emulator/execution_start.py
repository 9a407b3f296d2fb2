"""How executions are started: names, inputs, ARNs, StartSyncExecution.

On AWS

- an execution's name has 1 to 80 characters. White space, control characters, surrogates and the characters
  `< > { } [ ] ? * " # % \\ ^ | ~ ` $ & , ; : /` are not allowed: InvalidName. The emulator accepts any name,
  and replaces an empty one;
- executions of an EXPRESS state machine may share a name: each has an ARN of its own,
  `arn:…:express:MACHINE:NAME:UUID`, which is also its `$$.Execution.Id`. The emulator derives the ARN from
  the name, `arn:…:execution:MACHINE:NAME`: StartExecution refuses a name that was used before, and
  StartSyncExecution overwrites the execution that used it;
- StartSyncExecution takes the ARN of a state machine, a version or an alias, and responds when the execution
  has ended: SUCCEEDED with its output; FAILED or TIMED_OUT with its error and cause, without an output. For a
  STANDARD state machine the error is StateMachineTypeNotSupported. The emulator takes neither versions nor
  aliases here, and always responds with an output;
- an input that is not JSON is refused as InvalidExecutionInput;
- EventBridge gets no events about EXPRESS executions.

This module starts the executions of EXPRESS state machines in place of the emulator.

Sources: Step Functions API reference, StartExecution and StartSyncExecution;
https://docs.aws.amazon.com/step-functions/latest/dg/choosing-workflow-type.html
"""

import json
import re
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

from devtools.emulator import patch

Json = dict[str, Any]

_NAME = re.compile(r"""[^\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]{1,80}""")
_RESPONSE_FIELDS = ("executionArn", "stateMachineArn", "name", "startDate", "stopDate", "status", "input")

# Set while a state runs another state machine by `states:startExecution.sync`, which may be a STANDARD one.
_is_nested: ContextVar[bool] = ContextVar("is_nested", default=False)


def install() -> None:
    """Extend the emulator."""
    patch.wrap(stepfunctions, "_start_execution", _start_execution)
    patch.wrap(stepfunctions, "_start_sync_execution", _start_sync_execution)
    patch.wrap(stepfunctions, "_invoke_nested_start_execution_sync", _invoke_nested)


def _start_execution(original: Callable[..., Any], data: Json) -> Any:
    if error := _name_error(data):
        return error
    machine = _state_machine(data)
    if machine is None or machine["type"] != "EXPRESS":
        return original(data)
    if error := _input_error(data):
        return error
    execution = _new_execution(machine, data)
    # A thread does not inherit the request's account and region by itself.
    run = (stepfunctions._run_execution, execution["executionArn"])
    threading.Thread(target=copy_context().run, args=run, daemon=True).start()
    return json_response({name: execution[name] for name in ("executionArn", "startDate")})


def _start_sync_execution(original: Callable[..., Any], data: Json) -> Any:
    if error := _name_error(data):
        return error
    machine = _state_machine(data)
    if machine is None or _is_nested.get():
        return original(data)
    if machine["type"] != "EXPRESS":
        message = "This operation is not supported by this type of state machine"
        return error_response_json("StateMachineTypeNotSupported", message, 400)
    if error := _input_error(data):
        return error
    execution = _new_execution(machine, data)
    stepfunctions._run_execution(execution["executionArn"])
    return json_response(_sync_response(execution))


def _invoke_nested(original: Callable[..., Any], *args: Any) -> Any:
    token = _is_nested.set(True)
    try:
        return original(*args)
    finally:
        _is_nested.reset(token)


def _name_error(data: Json) -> Any:
    """The error response for an invalid name, or None."""
    name = data.get("name")
    if name is None or (isinstance(name, str) and _NAME.fullmatch(name)):
        return None
    return error_response_json("InvalidName", f"Invalid Name: '{name}'", 400)


def _input_error(data: Json) -> Any:
    """The error response for an input that is not JSON, or None."""
    try:
        json.loads(data.get("input", "{}"))
    except ValueError:
        return error_response_json("InvalidExecutionInput", "Invalid State Machine Execution Input", 400)
    return None


def _state_machine(data: Json) -> Json | None:
    arn = data.get("stateMachineArn", "").partition("#")[0]
    machine: Json | None = stepfunctions._state_machines.get(stepfunctions._resolve_state_machine_arn(arn))
    return machine


def _new_execution(machine: Json, data: Json) -> Json:
    """Store an execution in the emulator's format."""
    name, text, now = data.get("name") or str(uuid.uuid4()), data.get("input", "{}"), now_iso()
    prefix = f"arn:aws:states:{get_region()}:{get_account_id()}"
    details = {"input": text, "roleArn": machine["roleArn"]}
    execution = {
        "executionArn": f"{prefix}:express:{machine['name']}:{name}:{uuid.uuid4()}",
        "stateMachineArn": machine["stateMachineArn"],
        "name": name,
        "status": "RUNNING",
        "startDate": now,
        "stopDate": None,
        "input": text,
        "output": None,
        "testCase": data["stateMachineArn"].partition("#")[2],
        "mockAttempts": {},
        "sync": True,  # the emulator then sends no events to EventBridge
        "events": [
            {"id": 1, "type": "ExecutionStarted", "timestamp": now, "executionStartedEventDetails": details}
        ],
    }
    stepfunctions._executions[execution["executionArn"]] = execution
    return execution


def _sync_response(execution: Json) -> Json:
    response = {name: execution[name] for name in _RESPONSE_FIELDS}
    if execution["status"] == "SUCCEEDED":
        response["output"] = execution["output"]
    else:
        response |= {"error": execution["error"], "cause": execution["cause"]}
    return response | {"inputDetails": {"included": True}, "outputDetails": {"included": True}}
