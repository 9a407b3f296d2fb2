"""Numbers of an event source mapping that come from a template's parameter.

A parameter's value is text. AWS CloudFormation makes it the number that the property wants; the emulator
passes `MaximumConcurrency` on as text, and its poller then fails at every turn.
"""

from collections.abc import Callable
from typing import Any

from ministack.services.cloudformation import provisioners

from devtools.emulator import guard

Json = dict[str, Any]


def install() -> None:
    """Extend the emulator."""
    path = ("AWS::Lambda::EventSourceMapping",)
    guard.wrap_handler(provisioners, "_RESOURCE_HANDLERS", (*path, "create"), _create)
    guard.wrap_handler(provisioners, "_RESOURCE_HANDLERS", (*path, "update"), _update)


def _create(original: Callable[..., Any], logical_id: str, props: Json, *args: Any) -> Any:
    return original(logical_id, _with_numbers(props), *args)


def _update(
    original: Callable[..., Any], physical_id: str, old_props: Json, new_props: Json, *args: Any
) -> Any:
    return original(physical_id, _with_numbers(old_props), _with_numbers(new_props), *args)


def _with_numbers(props: Json) -> Json:
    scaling = props.get("ScalingConfig")
    if not scaling or "MaximumConcurrency" not in scaling:
        return props
    return {**props, "ScalingConfig": {"MaximumConcurrency": int(scaling["MaximumConcurrency"])}}
