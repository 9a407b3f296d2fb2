"""The template as CloudFormation evaluates it: transformed by SAM, with its conditions resolved."""

import copy
from collections.abc import Mapping
from typing import Any

from samtranslator.translator.transform import transform

type Document = dict[str, Any]

_NOTHING: Any = object()


class _ManagedPolicies:
    """The template names no managed policy without its ARN."""

    @staticmethod
    def load() -> dict[str, str]:
        return {}


def render(template: Document, *, region: str = "us-east-1", **parameters: Any) -> Document:
    """The resources that are deployed with these parameters in this region.

    Values that only AWS knows stay as they are in the template.
    """
    document = _uploaded(copy.deepcopy(template))
    defaults = {name: p["Default"] for name, p in document["Parameters"].items()}
    assert set(parameters) <= set(defaults)
    transformed: Document = transform(document, {}, _ManagedPolicies())
    return _Renderer(defaults | parameters, transformed, region).resources(transformed["Resources"])


def _uploaded(template: Document) -> Document:
    """The template with artifacts in a bucket, as `sam package` writes it."""
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/code.zip"
    template["Resources"]["TicketPipeline"]["Properties"]["DefinitionUri"] = "s3://bucket/definition.yaml"
    return template


class _Renderer:
    def __init__(self, parameters: Mapping[str, Any], template: Document, region: str) -> None:
        self._parameters = parameters
        self._conditions = template["Conditions"]
        self._mappings = template["Mappings"]
        self._region = region

    def resources(self, resources: Document) -> Document:
        deployed = {n: r for n, r in resources.items() if "Condition" not in r or self._holds(r["Condition"])}
        return {name: self._rendered(resource) for name, resource in deployed.items()}

    def _holds(self, condition: str) -> bool:
        return bool(self._rendered(self._conditions[condition]))

    def _rendered(self, value: Any) -> Any:  # noqa: PLR0911
        match value:
            case {"Ref": "AWS::NoValue"}:
                return _NOTHING
            case {"Ref": str(name)} if name in self._parameters:
                given = self._parameters[name]
                is_list = name in {"VpcSubnetIds", "VpcSecurityGroupIds"}
                return given.split(",") if is_list else given
            case {"Fn::If": [condition, then, otherwise]}:
                return self._rendered(then if self._holds(condition) else otherwise)
            case {"Fn::Equals": [left, right]}:
                return self._rendered(left) == self._rendered(right)
            case {"Fn::Not": [inner]}:
                return not self._rendered(inner)
            case {"Fn::Or": [*inner]}:
                return any(self._rendered(one) for one in inner)
            case {"Fn::And": [*inner]}:
                return all(self._rendered(one) for one in inner)
            case {"Condition": str(name)} if len(value) == 1:
                return self._holds(name)
            case {"Fn::FindInMap": [name, {"Ref": "AWS::Region"}, key]}:
                return self._mappings[name][self._region][key]
            case {"Fn::Join": [separator, parts]} if isinstance(self._rendered(parts), list):
                joined = self._rendered(parts)
                known = all(isinstance(part, str) for part in joined)
                return separator.join(joined) if known else {"Fn::Join": [separator, joined]}
            case dict():
                return _without_nothing_in({k: self._rendered(v) for k, v in value.items()})
            case list():
                return [item for item in map(self._rendered, value) if item is not _NOTHING]
        return value


def _without_nothing_in(mapping: Document) -> Document:
    return {key: value for key, value in mapping.items() if value is not _NOTHING}
