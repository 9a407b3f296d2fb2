"""The logs: their saved queries, what the state machine logs, and what is masked."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.assemble import read_template
from tests.infrastructure.rendering import render

type Document = dict[str, Any]

PROJECT = Path(__file__).parents[2]
RUNBOOK = (PROJECT / "docs" / "runbook.md").read_text()
GROUPS = ("FunctionsLogGroup", "TicketPipelineLogGroup", "ApiAccessLogGroup")
# What Lambda, the logger's library and Insights itself provide; not in the functions' code.
PROVIDED = {"@timestamp", "@message", "@logStream", "@requestId", "@type", "@initDuration", "@duration"} | {
    "@maxMemoryUsed", "function_name", "message", "xray_trace_id",
}  # fmt: skip


def of_type(resources: Document, kind: str) -> dict[str, Document]:
    return {name: r["Properties"] for name, r in resources.items() if r["Type"] == kind}


@pytest.fixture(scope="module")
def queries() -> dict[str, Document]:
    part = read_template(PROJECT / "infra" / "parts" / "log-queries.yaml")
    return of_type(part["Resources"], "AWS::Logs::QueryDefinition")


def test_the_runbook_has_each_of_the_ten_saved_queries(queries: dict[str, Document]) -> None:
    section = RUNBOOK.split("## Questions to the logs")[1].split("\n## ")[0]
    blocks = re.findall(r"\(\*([^*]+)\*\)\n\n```\n(.*?)\n```", section, re.DOTALL)

    assert len(queries) == 10
    assert {
        query["Name"]["Fn::Sub"].removeprefix("${AWS::StackName}/"): query["QueryString"]
        for query in queries.values()
    } == dict(blocks)


def test_the_queries_name_only_fields_that_the_functions_log(queries: dict[str, Document]) -> None:
    sources = (PROJECT / "functions" / "support").rglob("*.py")
    code = "\n".join(path.read_text() for path in sources)
    for query in queries.values():
        if query["LogGroupNames"] == [{"Ref": "FunctionsLogGroup"}]:
            used = set(re.findall(r"@?\b[a-z]+(?:[A-Z]\w*|_\w+)\b", without_aliases(query["QueryString"])))
            assert not {name for name in used - PROVIDED if name not in code}, query["Name"]


def without_aliases(query: str) -> str:
    """The query without functions, texts and the names that it gives to results."""
    return re.sub(r"\bas \w+|\w+\(|\"[^\"]*\"|/.*?/|\bsort \w+", "", query)


def test_the_query_of_refused_requests_names_only_fields_of_the_access_log(template: Document) -> None:
    api = template["Resources"]["Api"]["Properties"]
    logged = set(json.loads(api["AccessLogSetting"]["Format"]))

    assert {"status", "errorType", "method", "resourcePath", "sourceIp"} <= logged


@pytest.mark.parametrize(("parameters", "number"), [({}, 10), ({"LogQueries": "none"}, 0)])
def test_saved_queries_can_be_left_out(template: Document, parameters: dict[str, str], number: int) -> None:
    assert len(of_type(render(template, **parameters), "AWS::Logs::QueryDefinition")) == number


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("false", False)])
def test_the_state_machines_log_contains_tickets_only_as_the_parameter_says(
    template: Document, *, value: str, expected: bool
) -> None:
    (machine,) = of_type(
        render(template, IncludeExecutionData=value), "AWS::StepFunctions::StateMachine"
    ).values()

    assert machine["LoggingConfiguration"]["IncludeExecutionData"] is expected
    assert machine["LoggingConfiguration"]["Level"] == "ALL"


def test_by_default_nothing_is_masked(template: Document) -> None:
    assert not [
        name
        for name, group in of_type(render(template), "AWS::Logs::LogGroup").items()
        if "DataProtectionPolicy" in group
    ]


def test_what_is_masked_is_what_is_audited_because_aws_accepts_nothing_else(template: Document) -> None:
    groups = of_type(render(template, LogMasking="mask"), "AWS::Logs::LogGroup")

    for name in GROUPS:
        audit, mask = groups[name]["DataProtectionPolicy"]["Statement"]
        assert audit["DataIdentifier"] == mask["DataIdentifier"]
        assert audit["Operation"] == {"Audit": {"FindingsDestination": {}}}
        assert mask["Operation"] == {"Deidentify": {"MaskConfig": {}}}
