"""The template and the state machine's definition, as documents."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.assemble import whole_template

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def template() -> dict[str, Any]:
    """The template with its parts, with `!GetAtt A.B` as {"Fn::GetAtt": ["A", "B"]} and so on."""
    return whole_template()


@pytest.fixture(scope="session")
def definition() -> dict[str, Any]:
    """The state machine's definition, with its ${substitutions}."""
    return dict(yaml.safe_load((PROJECT / "statemachine" / "ticket_pipeline.asl.yaml").read_text()))


@pytest.fixture(scope="session")
def openapi() -> dict[str, Any]:
    """The HTTP contract."""
    return dict(yaml.safe_load((PROJECT / "api" / "openapi.yaml").read_text()))
