"""The name of an execution: which AWS takes, and how often.

On AWS a name has 1 to 80 characters and none of white space, `< > { } [ ] ? * " # % \\ ^ | ~ ` $ & , ; : /`,
control characters and surrogates: InvalidName otherwise. The emulator takes any name, and makes one up for
an empty one.

Executions of an EXPRESS machine may share a name. The emulator refuses the second as ExecutionAlreadyExists.
Here it gets an ARN with an id behind the name, as every EXPRESS execution has on AWS.
"""

import json
import re
import uuid
from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import stepfunctions

from local.emulator import guard

Json = dict[str, Any]

_NAME = re.compile(r"""[^\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]{1,80}""")
_SEPARATOR = ":"  # in no name


def install() -> None:
    """Extend the emulator."""
    guard.wrap(stepfunctions, "_start_execution", _start)
    guard.wrap(stepfunctions, "_start_sync_execution", _start)
    guard.wrap(stepfunctions, "_emit_execution_status_event", _emit_execution_status_event)


def _start(original: Callable[..., Any], data: Json) -> Any:
    name = data.get("name")
    if name is not None and not (isinstance(name, str) and _NAME.fullmatch(name)):
        return error_response_json("InvalidName", f"Invalid Name: '{name}'", 400)
    answer = original(data)
    if _is_taken(answer) and _is_express(data["stateMachineArn"]):
        return original({**data, "name": f"{name}{_SEPARATOR}{uuid.uuid4()}"})
    return answer


def _is_taken(answer: Any) -> bool:
    status, _headers, body = answer
    return bool(status == 400 and json.loads(body)["__type"] == "ExecutionAlreadyExists")


def _is_express(arn: str) -> bool:
    machine = stepfunctions._resolve_state_machine_arn(arn.partition("#")[0])
    kind: str = stepfunctions._state_machines[machine]["type"]
    return kind == "EXPRESS"


def _emit_execution_status_event(original: Callable[..., Any], execution: Json) -> Any:
    execution["name"] = execution["name"].partition(_SEPARATOR)[0]
    return original(execution)
