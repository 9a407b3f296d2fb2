"""Rollback: points the live aliases to the versions that were live before the last deployment."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ops.options import UsageError
from ops.report import Report
from ops.stack import DeployedStack

_FUNCTION_VERSION_ARN = re.compile(r"arn:[\w-]+:lambda:[^\"]+?:function:[\w-]+:\d+")


@dataclass(frozen=True, slots=True)
class _Alias:
    """An alias: its version, the time at which each version was published, and how to change its version."""

    name: str
    version: int
    published_at: Mapping[int, datetime]
    point_to: Callable[[int], object]

    def was_published_since(self, time: datetime) -> bool:
        return self.published_at[self.version] >= time

    def latest_version_before(self, time: datetime) -> int | None:
        earlier = (version for version, published_at in self.published_at.items() if published_at < time)
        return max(earlier, default=None)


def rollback(stack: DeployedStack, report: Report, *, dry_run: bool) -> int:
    """Point each alias that the last deployment changed to its previous version; return 0.

    An alias keeps its version if the last deployment did not publish it, or if there is no earlier one.

    Raises:
        UsageError: there is nothing to roll back, or no earlier version.
        ClientError: AWS refused a call. Run the command again to change the remaining aliases.
    """
    deployed_at = _last_deployment(stack)
    time = f"{deployed_at:%Y-%m-%d %H:%M:%S} UTC"
    changes = [
        (alias, alias.latest_version_before(deployed_at))
        for alias in _aliases(stack)
        if alias.was_published_since(deployed_at)
    ]
    if not changes:
        raise UsageError(f"The last deployment ({time}) published no live version: nothing was changed.")
    if not any(version for _, version in changes):
        raise UsageError(f"No version was published before {time}: nothing was changed.")
    report.line(f"Rolling stack {stack.name} back to the versions before the deployment of {time}:")
    for alias, version in changes:
        report.line(f"  {alias.name:<20} {alias.version} → {version or 'unchanged: no earlier version'}")
        if version and not dry_run:
            alias.point_to(version)
    done = "Done. The next deployment ends the rollback."
    report.line("Dry run: nothing was changed." if dry_run else done)
    return 0


def _last_deployment(stack: DeployedStack) -> datetime:
    """The start of the last deployment."""
    (described,) = stack.client("cloudformation").describe_stacks(StackName=stack.name)["Stacks"]
    started_at: datetime = described.get("LastUpdatedTime") or described["CreationTime"]
    return started_at


def _aliases(stack: DeployedStack) -> Iterator[_Alias]:
    """The aliases. The state machine's is first, so that new executions run the old release immediately."""
    readers = {
        "AWS::StepFunctions::StateMachineAlias": _state_machine_alias,
        "AWS::Lambda::Alias": _function_alias,
    }
    resources = list(stack.resources())
    for resource_type, read_alias in readers.items():
        for resource in resources:
            if resource.type == resource_type:
                yield read_alias(stack, resource.logical_id.partition("Alias")[0], resource.physical_id)


def _state_machine_alias(stack: DeployedStack, name: str, arn: str) -> _Alias:
    machine, client = arn.rpartition(":")[0], stack.client("stepfunctions")
    # CloudFormation deploys to the whole alias at once, so it has exactly one route.
    (route,) = client.describe_state_machine_alias(stateMachineAliasArn=arn)["routingConfiguration"]

    def point_to(version: int) -> None:
        version_arn = f"{machine}:{version}"
        definition = client.describe_state_machine(stateMachineArn=version_arn)["definition"]
        _require_function_versions(stack, definition)
        routing = [{"stateMachineVersionArn": version_arn, "weight": 100}]
        client.update_state_machine_alias(stateMachineAliasArn=arn, routingConfiguration=routing)

    published_at = {
        _version(version["stateMachineVersionArn"]): version["creationDate"]
        for version in _state_machine_versions(client, machine)
    }
    return _Alias(name, _version(route["stateMachineVersionArn"]), published_at, point_to)


def _state_machine_versions(client: Any, machine: str) -> Iterator[Mapping[str, Any]]:
    """All versions of a state machine; botocore has no paginator for them."""
    page = client.list_state_machine_versions(stateMachineArn=machine)
    yield from page["stateMachineVersions"]
    while token := page.get("nextToken"):
        page = client.list_state_machine_versions(stateMachineArn=machine, nextToken=token)
        yield from page["stateMachineVersions"]


def _require_function_versions(stack: DeployedStack, definition: str) -> None:
    """Make sure that all function versions that a definition calls still exist.

    Raises:
        UsageError: a version was deleted.
    """
    client = stack.client("lambda")
    for arn in sorted(set(_FUNCTION_VERSION_ARN.findall(definition))):
        try:
            client.get_function_configuration(FunctionName=arn)
        except client.exceptions.ResourceNotFoundException:
            raise UsageError(
                f"The previous version calls {arn}, which was deleted: nothing was changed."
            ) from None


def _function_alias(stack: DeployedStack, name: str, arn: str) -> _Alias:
    function, _, alias = arn.rpartition(":")
    client = stack.client("lambda")

    def point_to(version: int) -> None:
        client.update_alias(FunctionName=function, Name=alias, FunctionVersion=str(version))

    pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=function)
    published_at = {
        int(version["Version"]): datetime.strptime(version["LastModified"], "%Y-%m-%dT%H:%M:%S.%f%z")
        for page in pages
        for version in page["Versions"]
        if version["Version"] != "$LATEST"
    }
    live_version = client.get_alias(FunctionName=function, Name=alias)["FunctionVersion"]
    return _Alias(name, int(live_version), published_at, point_to)


def _version(arn: str) -> int:
    return int(arn.rpartition(":")[2])
