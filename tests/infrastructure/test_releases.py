"""Versions and aliases: a deployment does not change running executions, and can be rolled back."""

import json
import re
from typing import Any

import pytest

from tests.infrastructure.rendering import render

type Document = dict[str, Any]

# All options are on, so that every parameter has an effect.
EVERYTHING = {
    "FallbackModelId": "amazon.nova-micro-v1:0",
    "GuardrailMode": "block",
    "VpcSubnetIds": "subnet-0123456789abcdef0",
    "VpcSecurityGroupIds": "sg-0123456789abcdef0",
}


def of_type(resources: Document, kind: str) -> dict[str, Document]:
    return {name: r["Properties"] for name, r in resources.items() if r["Type"] == kind}


def references(value: Any) -> set[str]:
    """The logical ids that a document refers to."""
    text = json.dumps(value)
    substituted = re.findall(r"\$\{(\w+)[.}]", text)
    return {*re.findall(r'"(?:Ref|Fn::GetAtt)": \[?"(\w+)"', text), *substituted}


@pytest.fixture
def resources(template: Document) -> Document:
    return render(template)


def test_every_function_keeps_its_versions_and_has_a_live_alias(resources: Document) -> None:
    functions, versions = (
        of_type(resources, "AWS::Lambda::Function"),
        of_type(resources, "AWS::Lambda::Version"),
    )
    assert {version["FunctionName"]["Ref"] for version in versions.values()} == set(functions)
    for name in versions:
        policies = resources[name]["DeletionPolicy"], resources[name]["UpdateReplacePolicy"]
        assert policies == ("Retain", "Retain"), name
    aliases = of_type(resources, "AWS::Lambda::Alias")
    assert {alias["FunctionName"]["Ref"] for alias in aliases.values()} == set(functions)
    assert {alias["Name"] for alias in aliases.values()} == {"live"}


def test_the_state_machine_calls_versions_so_that_an_execution_never_changes_its_code(
    resources: Document,
) -> None:
    substitutions = resources["TicketPipeline"]["Properties"]["DefinitionSubstitutions"]
    called = {value["Ref"] for name, value in substitutions.items() if name.endswith("FunctionArn")}
    assert {resources[name]["Type"] for name in called} == {"AWS::Lambda::Version"}


def test_the_state_machine_keeps_its_versions_and_its_live_alias_points_to_the_last(
    resources: Document,
) -> None:
    version, alias = resources["TicketPipelineVersion"], resources["TicketPipelineAliaslive"]
    assert (version["DeletionPolicy"], version["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert alias["Properties"]["DeploymentPreference"] == {
        "Type": "ALL_AT_ONCE",
        "StateMachineVersionArn": {"Ref": "TicketPipelineVersion"},
    }


def test_all_callers_of_functions_and_of_the_state_machine_use_the_alias(
    resources: Document, openapi: Document
) -> None:
    by_alias = {
        "API": openapi,
        "schedules": of_type(resources, "AWS::Events::Rule"),
        "queues": of_type(resources, "AWS::Lambda::EventSourceMapping"),
        "permissions": of_type(resources, "AWS::Lambda::Permission"),
        "environment": [
            function["Environment"]["Variables"]["STATE_MACHINE_ARN"]
            for function in of_type(resources, "AWS::Lambda::Function").values()
            if "STATE_MACHINE_ARN" in function["Environment"]["Variables"]
        ],
    }
    unversioned = {*of_type(resources, "AWS::Lambda::Function"), "TicketPipeline"}
    for who, document in by_alias.items():
        assert references(document) & set(resources), who
        assert not references(document) & unversioned, who


def other(parameter: Document) -> str:
    values = [value for value in parameter.get("AllowedValues", []) if value != parameter["Default"]]
    return str(values[0] if values else "other")


def test_a_changed_parameter_publishes_exactly_the_functions_that_it_changes(template: Document) -> None:
    """SAM decides from the template's text alone whether to publish a version.

    If the environment of a function changes but not its version's description, no version is published, and
    its callers do not see the change. If only the description changes, the deployment fails, because Lambda
    does not publish the same function twice.
    """
    before = render(template, **EVERYTHING)
    for name, parameter in template["Parameters"].items():
        value = "off" if name == "GuardrailMode" else other(parameter)
        after = render(template, **EVERYTHING | {name: value})
        assert published(before, after) == changed(before, after), name


def changed(before: Document, after: Document) -> set[str]:
    """The functions whose configuration differs; tags are not part of a version."""
    functions = of_type(before, "AWS::Lambda::Function")
    return {
        name
        for name, function in functions.items()
        if function | {"Tags": None} != after[name]["Properties"] | {"Tags": None}
    }


def published(before: Document, after: Document) -> set[str]:
    """The functions of which CloudFormation publishes another version."""
    versions = of_type(before, "AWS::Lambda::Version")
    assert set(versions) == set(of_type(after, "AWS::Lambda::Version"))
    return {
        version["FunctionName"]["Ref"]
        for name, version in versions.items()
        if version != after[name]["Properties"]
    }


def test_a_change_in_the_template_or_the_guardrail_publishes_the_function_that_it_affects(
    template: Document,
) -> None:
    before = of_type(render(template), "AWS::Lambda::Version")
    template = json.loads(json.dumps(template))
    template["Resources"]["NotifyFunction"]["Properties"]["Timeout"] = 4
    after = of_type(render(template), "AWS::Lambda::Version")
    (renamed,) = set(after) - set(before)
    assert renamed.startswith("NotifyFunctionVersion")

    versions = of_type(render(template, GuardrailMode="block"), "AWS::Lambda::Version")
    asked = {v["FunctionName"]["Ref"] for v in versions.values() if "TicketGuardrailVersion" in references(v)}
    assert asked == {"ClassifyFunction"}


def test_the_state_machine_may_call_only_published_versions(resources: Document) -> None:
    statements = resources["TicketPipelineRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    (invoke,) = [s for s in statements if s["Sid"] == "InvokeTheTasks"]
    assert all(
        re.fullmatch(r"\$\{\w+Function\.Arn}:\*", resource["Fn::Sub"]) for resource in invoke["Resource"]
    )
