"""Does everybody call the alias `live`, and never what a deployment changes under a running execution?"""

from __future__ import annotations

import json
import re

from ops.verify.api_checks import deployed_methods
from ops.verify.finding import Finding, judged
from ops.verify.site import Site

_DEPLOY = "Deploy again (make deploy)."
_LIVE_FUNCTION = re.compile(r":function:[\w-]+:live(/invocations)?$")
_VERSION = re.compile(r":function:[\w-]+:\d+$")


def aliases(site: Site) -> Finding:
    """Each function, and the state machine, has an alias `live` that points to a version."""
    functions, machines = site.stack.client("lambda"), site.stack.client("stepfunctions")
    known = {arn.split(":")[6]: arn for arn in site.ids("AWS::Lambda::Alias") if arn.endswith(":live")}
    problems = [
        f"{name} has no alias live" for name in site.ids("AWS::Lambda::Function") if name not in known
    ]
    for name in known:
        version = functions.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
        if not version.isdecimal():
            problems.append(f"the alias of {name} points to {version}")
    alias = site.id_of("TicketPipelineAliaslive")
    (route,) = machines.describe_state_machine_alias(stateMachineAliasArn=alias)["routingConfiguration"]
    released = machines.describe_state_machine(stateMachineArn=route["stateMachineVersionArn"])
    for state in json.loads(released["definition"])["States"].values():
        called = state.get("Parameters", {}).get("FunctionName", "")
        if called and not _VERSION.search(called):
            problems.append(f"the state machine calls {called}, which is not a version")
    return judged(
        problems,
        f"{len(known)} functions and the state machine have an alias live, which points to a version.",
        _DEPLOY,
    )


def callers(site: Site) -> Finding:
    """API, schedules, queues and functions call the aliases."""
    machine = site.id_of("TicketPipelineAliaslive")
    problems = []
    for name, _, integration in deployed_methods(site):
        uri = integration.get("uri") or ""
        templates = "".join((integration.get("requestTemplates") or {}).values())
        if ":function:" in uri and not _LIVE_FUNCTION.search(uri):
            problems.append(f"{name} calls {uri}")
        if uri.endswith("states:action/StartExecution") and f'"{machine}"' not in templates:
            problems.append(f"{name} does not start the alias of the state machine")
    return judged(
        problems + _triggers(site) + _starters(site, machine),
        "API, schedules, queues and functions call the aliases, and all triggers are on.",
        _DEPLOY,
    )


def _triggers(site: Site) -> list[str]:
    functions, events = site.stack.client("lambda"), site.stack.client("events")
    problems = []
    for mapping in site.ids("AWS::Lambda::EventSourceMapping"):
        found = functions.get_event_source_mapping(UUID=mapping)
        if not _LIVE_FUNCTION.search(found["FunctionArn"]):
            problems.append(f"queue {found['EventSourceArn']} triggers {found['FunctionArn']}")
        if found["State"] != "Enabled":
            problems.append(f"the trigger of queue {found['EventSourceArn']} is {found['State']}")
    for rule in site.ids("AWS::Events::Rule"):
        if events.describe_rule(Name=rule)["State"] != "ENABLED":
            problems.append(f"schedule {rule} is off")
        problems += [
            f"schedule {rule} calls {target['Arn']}"
            for target in events.list_targets_by_rule(Rule=rule)["Targets"]
            if not _LIVE_FUNCTION.search(target["Arn"])
        ]
    return problems


def _starters(site: Site, machine: str) -> list[str]:
    """The functions that start the state machine by another name than its alias."""
    client = site.stack.client("lambda")
    problems = []
    for name in site.ids("AWS::Lambda::Function"):
        live = client.get_function_configuration(FunctionName=name, Qualifier="live")
        started = live.get("Environment", {}).get("Variables", {}).get("STATE_MACHINE_ARN", machine)
        if started != machine:
            problems.append(f"{name} starts {started}")
    return problems
