"""Rollback: the live aliases go back to the versions that were live before the last deployment."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ops.errors import UsageError
from ops.stack import DeployedStack

_FUNCTION_VERSION = re.compile(r"arn:[\w-]+:lambda:[^\"]+?:function:[\w-]+:\d+")


@dataclass(frozen=True, slots=True)
class _Alias:
    """An alias: the version that it points to, when each version was published, and how to point it."""

    title: str
    version: int
    published: Mapping[int, datetime]
    point_to: Callable[[int], object]

    def is_new_since(self, moment: datetime) -> bool:
        return self.published[self.version] >= moment

    def last_before(self, moment: datetime) -> int | None:
        return max((version for version, when in self.published.items() if when < moment), default=None)


def rollback(stack: DeployedStack, *, dry_run: bool) -> int:
    """Point each alias that the last deployment moved to its version before; say what moves; return 0.

    What that deployment did not publish stays where it is, and so does what has no version before.

    Raises:
        UsageError: there is nothing to roll back, or nothing to roll back to.
        ClientError: AWS refused a call. A repeat moves what is left.
    """
    moment = _last_deployment(stack)
    when = f"the deployment of {moment:%Y-%m-%d %H:%M:%S} UTC"
    moves = [(a, a.last_before(moment)) for a in _aliases(stack) if a.is_new_since(moment)]
    if not moves:
        raise UsageError(f"Nothing that is live was published by {when}, the last one: nothing was moved.")
    if not any(version for _, version in moves):
        raise UsageError(f"There is no version from before {when}: nothing was moved.")
    _say(f"Rolling stack {stack.name} back to what was live before {when}:")
    for alias, version in moves:
        _say(f"  {alias.title:<20} {alias.version} → {version or 'stays: there is no version before it'}")
        if version and not dry_run:
            alias.point_to(version)
    _say("DRY_RUN: nothing was moved." if dry_run else "Done. The next deployment moves forward again.")
    return 0


def _last_deployment(stack: DeployedStack) -> datetime:
    """When it began."""
    (described,) = stack.client("cloudformation").describe_stacks(StackName=stack.name)["Stacks"]
    moment: datetime = described.get("LastUpdatedTime") or described["CreationTime"]
    return moment


def _aliases(stack: DeployedStack) -> Iterator[_Alias]:
    """The state machine's first: what starts from then on is the old release."""
    kinds = {
        "AWS::StepFunctions::StateMachineAlias": _state_machine_alias,
        "AWS::Lambda::Alias": _function_alias,
    }
    resources = list(stack.resources())
    for kind, alias in kinds.items():
        for resource in resources:
            if resource.kind == kind:
                yield alias(stack, resource.logical_id.partition("Alias")[0], resource.physical_id)


def _state_machine_alias(stack: DeployedStack, title: str, arn: str) -> _Alias:
    machine, client = arn.rpartition(":")[0], stack.client("stepfunctions")
    # CloudFormation moves the whole alias at once: it has one version.
    (route,) = client.describe_state_machine_alias(stateMachineAliasArn=arn)["routingConfiguration"]

    def point_to(version: int) -> None:
        target = f"{machine}:{version}"
        _require_functions(stack, client.describe_state_machine(stateMachineArn=target)["definition"])
        routing = [{"stateMachineVersionArn": target, "weight": 100}]
        client.update_state_machine_alias(stateMachineAliasArn=arn, routingConfiguration=routing)

    published = {
        _number(version["stateMachineVersionArn"]): version["creationDate"]
        for version in _state_machine_versions(client, machine)
    }
    return _Alias(title, _number(route["stateMachineVersionArn"]), published, point_to)


def _state_machine_versions(client: Any, machine: str) -> Iterator[Mapping[str, Any]]:
    """All of them; botocore has no paginator for them."""
    page = client.list_state_machine_versions(stateMachineArn=machine)
    yield from page["stateMachineVersions"]
    while token := page.get("nextToken"):
        page = client.list_state_machine_versions(stateMachineArn=machine, nextToken=token)
        yield from page["stateMachineVersions"]


def _require_functions(stack: DeployedStack, definition: str) -> None:
    """Every version of a function that a definition calls must still be there.

    Raises:
        UsageError: somebody deleted one.
    """
    client = stack.client("lambda")
    for arn in sorted(set(_FUNCTION_VERSION.findall(definition))):
        try:
            client.get_function_configuration(FunctionName=arn)
        except client.exceptions.ResourceNotFoundException:
            raise UsageError(
                f"{arn}, which the version before calls, was deleted: nothing was moved."
            ) from None


def _function_alias(stack: DeployedStack, title: str, arn: str) -> _Alias:
    function, _, name = arn.rpartition(":")
    client = stack.client("lambda")

    def point_to(version: int) -> None:
        client.update_alias(FunctionName=function, Name=name, FunctionVersion=str(version))

    pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=function)
    published = {
        int(version["Version"]): datetime.strptime(version["LastModified"], "%Y-%m-%dT%H:%M:%S.%f%z")
        for page in pages
        for version in page["Versions"]
        if version["Version"] != "$LATEST"
    }
    live = client.get_alias(FunctionName=function, Name=name)["FunctionVersion"]
    return _Alias(title, int(live), published, point_to)


def _number(version_arn: str) -> int:
    return int(version_arn.rpartition(":")[2])


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
