"""Checks that every caller uses the alias `live`, so that deployments do not change running executions."""

from __future__ import annotations

import json
import re

from ops.verify.api_checks import deployed_methods
from ops.verify.check_result import DEPLOY_ADVICE, CheckResult, ok_unless
from ops.verify.context import CheckContext

_LIVE_FUNCTION = re.compile(r":function:[\w-]+:live(/invocations)?$")
_FUNCTION_VERSION = re.compile(r":function:[\w-]+:\d+$")


def aliases(context: CheckContext) -> CheckResult:
    """Each function and the state machine have an alias `live` that points to a version."""
    client = context.stack.client("lambda")
    arns = context.physical_ids("AWS::Lambda::Alias")
    with_alias = [arn.split(":")[6] for arn in arns if arn.endswith(":live")]
    problems = [
        f"{name} has no alias live"
        for name in context.physical_ids("AWS::Lambda::Function")
        if name not in with_alias
    ]
    for name in with_alias:
        version = client.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
        if not version.isdecimal():
            problems.append(f"the alias of {name} points to {version}")
    return ok_unless(
        problems + _unversioned_calls(context),
        f"{len(with_alias)} functions and the state machine have an alias live that points to a version.",
        DEPLOY_ADVICE,
    )


def _unversioned_calls(context: CheckContext) -> list[str]:
    """The calls of the live state machine that name a function without a version."""
    client, alias = context.stack.client("stepfunctions"), context.physical_id("TicketPipelineAliaslive")
    (route,) = client.describe_state_machine_alias(stateMachineAliasArn=alias)["routingConfiguration"]
    live = client.describe_state_machine(stateMachineArn=route["stateMachineVersionArn"])
    states = json.loads(live["definition"])["States"].values()
    functions = [state.get("Parameters", {}).get("FunctionName", "") for state in states]
    return [
        f"the state machine calls {function}, which is not a version"
        for function in functions
        if function and not _FUNCTION_VERSION.search(function)
    ]


def callers(context: CheckContext) -> CheckResult:
    """API, schedules, queues and functions call the aliases."""
    return ok_unless(
        _integration_problems(context) + _trigger_problems(context) + _starter_problems(context),
        "API, schedules, queues and functions call the aliases, and all triggers are enabled.",
        DEPLOY_ADVICE,
    )


def _integration_problems(context: CheckContext) -> list[str]:
    state_machine = context.physical_id("TicketPipelineAliaslive")
    problems = []
    for name, _, integration in deployed_methods(context):
        uri = integration.get("uri") or ""
        templates = "".join((integration.get("requestTemplates") or {}).values())
        if ":function:" in uri and not _LIVE_FUNCTION.search(uri):
            problems.append(f"{name} calls {uri}")
        if uri.endswith("states:action/StartExecution") and f'"{state_machine}"' not in templates:
            problems.append(f"{name} does not start the alias of the state machine")
    return problems


def _trigger_problems(context: CheckContext) -> list[str]:
    functions, events = context.stack.client("lambda"), context.stack.client("events")
    problems = []
    for uuid in context.physical_ids("AWS::Lambda::EventSourceMapping"):
        mapping = functions.get_event_source_mapping(UUID=uuid)
        if not _LIVE_FUNCTION.search(mapping["FunctionArn"]):
            problems.append(f"queue {mapping['EventSourceArn']} triggers {mapping['FunctionArn']}")
        if mapping["State"] != "Enabled":
            problems.append(f"the trigger of queue {mapping['EventSourceArn']} is {mapping['State']}")
    for rule in context.physical_ids("AWS::Events::Rule"):
        if events.describe_rule(Name=rule)["State"] != "ENABLED":
            problems.append(f"schedule {rule} is disabled")
        problems += [
            f"schedule {rule} calls {target['Arn']}"
            for target in events.list_targets_by_rule(Rule=rule)["Targets"]
            if not _LIVE_FUNCTION.search(target["Arn"])
        ]
    return problems


def _starter_problems(context: CheckContext) -> list[str]:
    """The functions that start the state machine other than by its alias."""
    client, alias = context.stack.client("lambda"), context.physical_id("TicketPipelineAliaslive")
    problems = []
    for name in context.physical_ids("AWS::Lambda::Function"):
        live = client.get_function_configuration(FunctionName=name, Qualifier="live")
        started = live.get("Environment", {}).get("Variables", {}).get("STATE_MACHINE_ARN", alias)
        if started != alias:
            problems.append(f"{name} starts {started}")
    return problems
