"""Versions and aliases of a state machine.

On AWS

- CloudFormation has the resources `AWS::StepFunctions::StateMachineVersion`, which publishes the machine as
  it is, and `AWS::StepFunctions::StateMachineAlias`, which points to a version;
- an execution that is started by the ARN of a version or of an alias runs that version's definition, whatever
  becomes of the state machine meanwhile;
- IAM authorises a call that names a version or an alias on the state machine's own ARN.

The emulator has the API of versions and aliases, but not the resources; it runs the machine's latest
definition in any case, and authorises on the ARN that the call names. This module mends all three. An alias
with a gradual deployment (CANARY, LINEAR) shifts at once here.
"""

import json
import re
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ministack.core import iam_actions
from ministack.core.responses import AccountRegionScopedDict
from ministack.services import stepfunctions
from ministack.services.cloudformation import provisioners

from devtools.emulator import guard

Json = dict[str, Any]

_QUALIFIER = re.compile(r"(?<=:stateMachine:)([^:]+):[^:]+$")

# The version that the execution of this thread runs; None for the machine as it is.
_running: ContextVar[Json | None] = ContextVar("running", default=None)


def install() -> None:
    """Extend the emulator."""
    guard.add(
        provisioners._RESOURCE_HANDLERS,
        "AWS::StepFunctions::StateMachineVersion",
        {"create": _create_version, "delete": _delete_version},
    )
    guard.add(
        provisioners._RESOURCE_HANDLERS,
        "AWS::StepFunctions::StateMachineAlias",
        {"create": _create_alias, "update": _update_alias, "delete": _delete_alias},
    )
    guard.replace(stepfunctions, "_state_machines", _StateMachines())
    guard.wrap(stepfunctions, "_start_execution", _start)
    guard.wrap(stepfunctions, "_start_sync_execution", _start)
    guard.wrap(iam_actions, "extract_resource_arn", _extract_resource_arn)


# --- CloudFormation ---


def _create_version(_logical_id: str, properties: Json, _stack: str) -> tuple[str, Json]:
    """Publish a version. Without a handler for updates, a changed property publishes another."""
    call = {
        "stateMachineArn": properties["StateMachineArn"],
        "revisionId": properties.get("StateMachineRevisionId"),
        "description": properties.get("Description", ""),
    }
    arn = _answer(stepfunctions._publish_state_machine_version(call))["stateMachineVersionArn"]
    return arn, {"Arn": arn}


def _delete_version(arn: str, _properties: Json) -> None:
    _answer(stepfunctions._delete_state_machine_version({"stateMachineVersionArn": arn}))


def _create_alias(_logical_id: str, properties: Json, _stack: str) -> tuple[str, Json]:
    call = {"name": properties["Name"], "routingConfiguration": _routing(properties)}
    arn = _answer(stepfunctions._create_state_machine_alias(call))["stateMachineAliasArn"]
    return arn, {"Arn": arn}


def _update_alias(arn: str, _old: Json, new: Json, _stack: str) -> tuple[str, Json]:
    call = {"stateMachineAliasArn": arn, "routingConfiguration": _routing(new)}
    _answer(stepfunctions._update_state_machine_alias(call))
    return arn, {"Arn": arn}


def _delete_alias(arn: str, _properties: Json) -> None:
    _answer(stepfunctions._delete_state_machine_alias({"stateMachineAliasArn": arn}))


def _routing(properties: Json) -> list[Json]:
    preference = properties.get("DeploymentPreference")
    if preference:
        return [{"stateMachineVersionArn": preference["StateMachineVersionArn"], "weight": 100}]
    return [
        {"stateMachineVersionArn": one["StateMachineVersionArn"], "weight": int(one["Weight"])}
        for one in properties["RoutingConfiguration"]
    ]


def _answer(response: tuple[int, Any, bytes]) -> Json:
    status, _headers, body = response
    answer: Json = json.loads(body)
    if status >= 400:
        raise ValueError(f"{answer['__type']}: {answer['message']}")
    return answer


# --- Executions ---


class _StateMachines(AccountRegionScopedDict):  # type: ignore[misc]
    """The state machines; an execution's own is the version that it was started with."""

    def get(self, key: Any, default: Any = None) -> Any:
        machine, version = super().get(key, default), _running.get()
        if version is None or version["stateMachineArn"] != key or machine is None:
            return machine
        return {**machine, **{name: value for name, value in version.items() if name in machine}}


def _start(original: Callable[..., Any], data: Json) -> Any:
    """The execution's thread inherits what is set here."""
    version = stepfunctions._execution_version_arn(data.get("stateMachineArn", ""))
    token = _running.set(stepfunctions._state_machine_versions.get(version) if version else None)
    try:
        return original(data)
    finally:
        _running.reset(token)


# --- IAM ---


def _extract_resource_arn(original: Callable[..., str], service: str, *args: Any, **kwargs: Any) -> str:
    arn = original(service, *args, **kwargs)
    return _QUALIFIER.sub(r"\1", arn) if service == "states" else arn
