"""Versions and aliases of a state machine.

On AWS

- CloudFormation has the resources `AWS::StepFunctions::StateMachineVersion`, which publishes the current
  state machine, and `AWS::StepFunctions::StateMachineAlias`, which points to a version;
- an execution that is started with the ARN of a version or an alias runs that version's definition, even if
  the state machine changes in the meantime;
- IAM authorizes a call with the ARN of a version or an alias on the state machine's own ARN.

The emulator has the API of versions and aliases, but not the resources; it always runs the latest definition,
and authorizes a call on the ARN in it. Here an alias with a gradual deployment (CANARY, LINEAR) shifts all
traffic at once.

Sources: https://docs.aws.amazon.com/step-functions/latest/dg/execution-alias-version-associate.html and
https://docs.aws.amazon.com/step-functions/latest/dg/auth-version-alias.html
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

from devtools.emulator import patch

Json = dict[str, Any]

_QUALIFIER = re.compile(r"(?<=:stateMachine:)([^:]+):[^:]+$")

# The version that the current execution runs; None for the current state machine.
_running_version: ContextVar[Json | None] = ContextVar("running_version", default=None)


def install() -> None:
    """Extend the emulator."""
    patch.add(
        provisioners._RESOURCE_HANDLERS,
        "AWS::StepFunctions::StateMachineVersion",
        {"create": _create_version, "delete": _delete_version},
    )
    patch.add(
        provisioners._RESOURCE_HANDLERS,
        "AWS::StepFunctions::StateMachineAlias",
        {"create": _create_alias, "update": _update_alias, "delete": _delete_alias},
    )
    patch.replace(stepfunctions, "_state_machines", _StateMachines())
    patch.wrap(stepfunctions, "_start_execution", _start)
    patch.wrap(stepfunctions, "_start_sync_execution", _start)
    patch.wrap(iam_actions, "extract_resource_arn", _extract_resource_arn)


# --- CloudFormation ---


def _create_version(_logical_id: str, properties: Json, _stack: str) -> tuple[str, Json]:
    """Publish a version. There is no update handler: a changed property publishes another version."""
    call = {
        "stateMachineArn": properties["StateMachineArn"],
        "revisionId": properties.get("StateMachineRevisionId"),
        "description": properties.get("Description", ""),
    }
    arn = _checked(stepfunctions._publish_state_machine_version(call))["stateMachineVersionArn"]
    return arn, {"Arn": arn}


def _delete_version(arn: str, _properties: Json) -> None:
    _checked(stepfunctions._delete_state_machine_version({"stateMachineVersionArn": arn}))


def _create_alias(_logical_id: str, properties: Json, _stack: str) -> tuple[str, Json]:
    call = {"name": properties["Name"], "routingConfiguration": _routing(properties)}
    arn = _checked(stepfunctions._create_state_machine_alias(call))["stateMachineAliasArn"]
    return arn, {"Arn": arn}


def _update_alias(arn: str, _old: Json, new: Json, _stack: str) -> tuple[str, Json]:
    call = {"stateMachineAliasArn": arn, "routingConfiguration": _routing(new)}
    _checked(stepfunctions._update_state_machine_alias(call))
    return arn, {"Arn": arn}


def _delete_alias(arn: str, _properties: Json) -> None:
    _checked(stepfunctions._delete_state_machine_alias({"stateMachineAliasArn": arn}))


def _routing(properties: Json) -> list[Json]:
    preference = properties.get("DeploymentPreference")
    if preference:
        return [{"stateMachineVersionArn": preference["StateMachineVersionArn"], "weight": 100}]
    return [
        {"stateMachineVersionArn": route["StateMachineVersionArn"], "weight": int(route["Weight"])}
        for route in properties["RoutingConfiguration"]
    ]


def _checked(response: tuple[int, Any, bytes]) -> Json:
    """The body of a response. Raises ValueError for an error."""
    status, _headers, body = response
    content: Json = json.loads(body)
    if status >= 400:
        raise ValueError(f"{content['__type']}: {content['message']}")
    return content


# --- Executions ---


class _StateMachines(AccountRegionScopedDict):  # type: ignore[misc]
    """The state machines; to an execution, its own is the version that it was started with."""

    def get(self, key: Any, default: Any = None) -> Any:
        machine, version = super().get(key, default), _running_version.get()
        if version is None or version["stateMachineArn"] != key or machine is None:
            return machine
        return {**machine, **{name: value for name, value in version.items() if name in machine}}


def _start(original: Callable[..., Any], data: Json) -> Any:
    # The execution's thread inherits the variable.
    version = stepfunctions._execution_version_arn(data.get("stateMachineArn", ""))
    token = _running_version.set(stepfunctions._state_machine_versions.get(version) if version else None)
    try:
        return original(data)
    finally:
        _running_version.reset(token)


# --- IAM ---


def _extract_resource_arn(original: Callable[..., str], service: str, *args: Any, **kwargs: Any) -> str:
    arn = original(service, *args, **kwargs)
    return _QUALIFIER.sub(r"\1", arn) if service == "states" else arn
