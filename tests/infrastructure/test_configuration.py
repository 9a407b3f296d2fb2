"""docs/configuration.md lists every setting of the template and the code."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from devtools.parameter_table import with_table
from support.aws.model import MAX_TOKENS
from support.aws.model_families import FAMILIES, OTHERS
from support.domain.analysis_schema import TOOL_SCHEMA
from support.domain.prompt import INSTRUCTIONS

type Document = dict[str, Any]

PROJECT = Path(__file__).parents[2]
GUIDE = (PROJECT / "docs" / "configuration.md").read_text()
BY_MAKE = {"EXAMPLES", "STAGE", "ARGS", "FAULT", "TASK", "EVENT"}
# Variables that users do not set.
INTERNAL = {"AWS_ENDPOINT_URL", "TMPDIR", "STATE_DIR", "TIMED_HANDLER"}


def table(heading: str) -> list[list[str]]:
    """The rows of the tables under a heading, without the first header."""
    lines = GUIDE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0].splitlines()
    rows = [line.strip("|").split("|") for line in lines if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_table_of_parameters_is_up_to_date(template: Document) -> None:
    assert with_table(GUIDE, template) == GUIDE, "Parameters have changed: run `make docs`."


def test_a_guide_without_markers_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match=r"docs/configuration\.md must have the two lines"):
        with_table("# Configuration\n", {})


def variables(template: Document) -> dict[str, set[str]]:
    """The short names of the functions that have each environment variable; `all` for all functions."""
    found = {name: {"all"} for name in template["Globals"]["Function"]["Environment"]["Variables"]}
    for function, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            for name in resource["Properties"].get("Environment", {}).get("Variables", {}):
                found.setdefault(name, set()).add(function.removesuffix("Function").lower())
    return found


def test_the_table_lists_exactly_the_variables_of_the_functions(template: Document) -> None:
    rows = table("Environment variables of the functions")
    assert {names(row[0])[0]: set(row[1].split(", ")) for row in rows} == variables(template)
    assert all(row[2] for row in rows)


def test_the_functions_read_exactly_the_variables_that_the_template_sets(template: Document) -> None:
    sources = (PROJECT / "functions" / "support").rglob("*.py")
    read = {
        name for path in sources for name in re.findall(r'environ(?:\.get\(|\[)"(\w+)"', path.read_text())
    }
    # Powertools reads its own variables.
    assert read == {name for name in variables(template) if not name.startswith("POWERTOOLS_")}


def test_the_table_lists_every_ssm_parameter(template: Document) -> None:
    documented = {
        name.replace("<Stage>", "${Stage}") for row in table("SSM Parameter Store") for name in names(row[0])
    }
    made = {
        resource["Properties"]["Name"]["Fn::Sub"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::SSM::Parameter"
    }
    resolved = set(re.findall(r"\{\{resolve:ssm:([^}]+}[^}]+)}}", str(template["Resources"])))
    assert documented == made | resolved


def read_by_commands() -> set[str]:
    """The variables that the source code of the local stack, the operators' commands and the tools reads."""
    rooms = [PROJECT / name for name in ("local", "console", "ops", "devtools", "benchmarks", "evals")]
    files = [path for room in rooms for path in room.rglob("*.py")]
    files = [path for path in files if "tests" not in path.relative_to(PROJECT).parts]
    files.append(PROJECT / "tests" / "sfn_local" / "conftest.py")
    source = "\n".join(path.read_text() for path in files)
    read = re.findall(r'(?:environ|environment|values)(?:\.get\(|\[)"([A-Z_]+)"', source)
    read += re.findall(r'(?:_port|whole_number)\(environment, "([A-Z_]+)"', source)
    read += re.findall(r'(?:_path|_flag|_number)\(values, "([A-Z_]+)"', source)
    return set(read) - INTERNAL


def test_the_table_lists_exactly_the_variables_of_the_commands() -> None:
    documented = {name for row in table("Environment variables of the commands") for name in names(row[0])}
    assert documented - BY_MAKE == read_by_commands()
    makefile = (PROJECT / "Makefile").read_text()
    assert all(f"$({name})" in makefile or f"$(or $({name})," in makefile for name in BY_MAKE)


def test_the_table_lists_exactly_the_families_of_models() -> None:
    def cell(value: Any) -> str:
        return f"`{value if isinstance(value, str) else json.dumps(value)}`" if value else "nothing"

    families = {f"`{name}`": family for name, family in FAMILIES.items()} | {"others": OTHERS}
    assert table("The model") == [
        [name, cell(f.tool_choice), cell(f.inference_config), cell(f.additional_fields)]
        for name, f in families.items()
    ]


def test_the_limits_in_the_guide_are_those_of_the_template_and_the_model_call(template: Document) -> None:
    rows = table("Limits that fit")
    parameters = template["Parameters"]
    given = {
        name: value
        for row in rows
        for name, value in zip(names(row[0]), row[1].split(", "), strict=False)
        if name in parameters
    }
    assert {name: value.replace(",", "") for name, value in given.items()} == {
        name: str(parameters[name]["Default"]) for name in given
    }
    assert {"SubmitRateLimit", "SubmitBurstLimit", "RequestRateLimit", "ClientRateLimit"} <= given.keys()
    assert [row[1] for row in rows if row[0].startswith("`maxTokens`")] == [str(MAX_TOKENS)]
    # The guide rounds the prompt and the tool schema to 1,700 characters.
    assert 1_600 < len(INSTRUCTIONS) + len(json.dumps(TOOL_SCHEMA)) <= 1_700


@pytest.mark.parametrize("stage", ["default", "prod", "local"])
def test_every_stage_is_described(stage: str) -> None:
    assert f"[{stage}.deploy.parameters]" in (PROJECT / "samconfig.toml").read_text()
    assert [row for row in table("Stages in samconfig.toml") if stage in row[0]]
