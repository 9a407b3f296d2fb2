"""How CloudFormation reads the values in a template.

On AWS

- a condition may use `Fn::FindInMap`, `Fn::Join` and `!Ref AWS::Region`. The emulator compares these
  functions literally, without evaluating them;
- a number may come from a parameter, whose value is a string. The emulator passes the string of an event
  source mapping's `MaximumConcurrency` on, and polling then fails;
- `ResourcePath` in the MethodSettings of an API's stage has `~1` for every slash but the first:
  `/~1tickets~1{id}` is `/tickets/{id}`. A path with plain slashes is refused. The emulator takes the path
  literally, so the settings have no effect;
- the definition file of a state machine may be YAML. The emulator stores it unchanged, and then fails to
  parse it as JSON when an execution starts.

Sources: CloudFormation template reference, "Condition functions" and "AWS::ApiGateway::Stage MethodSetting";
AWS SAM developer guide, "AWS::Serverless::StateMachine".
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import yaml
from ministack.services.cloudformation import changesets, engine, handlers, provisioners, stacks

from devtools.emulator import patch

Json = dict[str, Any]

_EVENT_SOURCE_MAPPING = "AWS::Lambda::EventSourceMapping"
_VALUE_FUNCTIONS = frozenset({"Fn::FindInMap", "Fn::Join", "Ref"})


def install() -> None:
    """Extend the emulator."""
    for module in (engine, changesets, handlers, stacks):
        patch.wrap(module, "_evaluate_conditions", _evaluate_conditions)
    patch.wrap_handler(
        provisioners, "_RESOURCE_HANDLERS", [_EVENT_SOURCE_MAPPING, "create"], _create_event_source_mapping
    )
    patch.wrap_handler(
        provisioners, "_RESOURCE_HANDLERS", [_EVENT_SOURCE_MAPPING, "update"], _update_event_source_mapping
    )
    patch.wrap(provisioners, "_apigw_method_settings", _method_settings)
    patch.wrap(provisioners, "_sfn_definition", _state_machine_definition)


# --- Conditions ---


def _evaluate_conditions(original: Callable[..., Json], template: Json, params: Json) -> Json:
    def resolved(node: Any) -> Any:
        if isinstance(node, list):
            return [resolved(item) for item in node]
        if not isinstance(node, dict):
            return node
        if _VALUE_FUNCTIONS.isdisjoint(node):
            return {name: resolved(item) for name, item in node.items()}
        return engine._resolve_refs(node, {}, params, {}, template.get("Mappings", {}), "", "")

    return original({**template, "Conditions": resolved(template.get("Conditions", {}))}, params)


# --- Event source mappings ---


def _create_event_source_mapping(
    original: Callable[..., Any], logical_id: str, props: Json, *args: Any
) -> Any:
    return original(logical_id, _with_numbers(props), *args)


def _update_event_source_mapping(
    original: Callable[..., Any], physical_id: str, old_props: Json, new_props: Json, *args: Any
) -> Any:
    return original(physical_id, _with_numbers(old_props), _with_numbers(new_props), *args)


def _with_numbers(props: Json) -> Json:
    scaling = props.get("ScalingConfig")
    if not scaling or "MaximumConcurrency" not in scaling:
        return props
    return {**props, "ScalingConfig": {"MaximumConcurrency": int(scaling["MaximumConcurrency"])}}


# --- Method settings ---


def _method_settings(original: Callable[..., Any], raw: Any) -> Any:
    return original([_with_decoded_path(item) for item in raw] if isinstance(raw, list) else raw)


def _with_decoded_path(setting: Mapping[str, Any]) -> Json:
    path = setting.get("ResourcePath", "/*")
    if path in ("/", "/*"):
        return dict(setting)
    if not path.startswith("/~1") or "/" in path[1:]:
        raise ValueError(f"Invalid method setting path: {path} (write ~1 for each slash but the first)")
    return {**setting, "ResourcePath": path[1:].replace("~1", "/")}


# --- State machine definitions ---


def _state_machine_definition(original: Callable[..., str], props: Mapping[str, Any]) -> str:
    return json.dumps(yaml.safe_load(original(props)))
