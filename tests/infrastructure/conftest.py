"""The template and the state machine's definition, as documents."""

from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short tags as their long forms."""


def _long_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        return {name: value.split(".", 1) if suffix == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _long_form)


@pytest.fixture(scope="session")
def template() -> dict[str, Any]:
    """template.yaml, with `!GetAtt A.B` as {"Fn::GetAtt": ["A", "B"]} and so on."""
    return dict(yaml.load((PROJECT / "template.yaml").read_text(), _Loader))  # noqa: S506


@pytest.fixture(scope="session")
def definition() -> dict[str, Any]:
    """The state machine's definition, with its ${substitutions}."""
    return dict(yaml.safe_load((PROJECT / "statemachine" / "ticket_pipeline.asl.yaml").read_text()))


@pytest.fixture(scope="session")
def openapi() -> dict[str, Any]:
    """The HTTP contract."""
    return dict(yaml.safe_load((PROJECT / "api" / "openapi.yaml").read_text()))
