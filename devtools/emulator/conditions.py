"""Conditions that look into mappings, join lists or read pseudo parameters.

CloudFormation allows `Fn::FindInMap`, `Fn::Join` and `!Ref AWS::Region` inside a condition. The emulator
compares them as they are written, so that such a condition is always wrong or always right. This module puts
their values in before the emulator evaluates the conditions.
"""

from collections.abc import Callable
from typing import Any

from ministack.services.cloudformation import changesets, engine, handlers, stacks

from devtools.emulator import guard

Json = dict[str, Any]

_VALUES = frozenset({"Fn::FindInMap", "Fn::Join", "Ref"})


def install() -> None:
    """Extend the emulator."""
    for module in (engine, changesets, handlers, stacks):
        guard.wrap(module, "_evaluate_conditions", _evaluate_conditions)


def _evaluate_conditions(original: Callable[..., Json], template: Json, params: Json) -> Json:
    def resolved(node: Any) -> Any:
        if isinstance(node, list):
            return [resolved(item) for item in node]
        if not isinstance(node, dict):
            return node
        if _VALUES.isdisjoint(node):
            return {name: resolved(item) for name, item in node.items()}
        return engine._resolve_refs(node, {}, params, {}, template.get("Mappings", {}), "", "")

    return original({**template, "Conditions": resolved(template.get("Conditions", {}))}, params)
