"""A deployed stack, local or in an AWS account, as CloudFormation describes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ops.options import UsageError

# Many attempts, because FilterLogEvents allows only a few calls per second. The read timeout must exceed
# SQS's long poll.
_CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 6, "mode": "standard"})


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of a stack: its type, its name in the template, and its name or ARN in the account."""

    type: str
    logical_id: str
    physical_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedStack:
    """A stack's name, outputs and parameters, and its AWS clients: `client("sqs")`.

    `label` describes the stack in messages. `web_url` replaces the API's address in the outputs.
    """

    label: str
    name: str
    client: Callable[[str], Any]
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    web_url: str | None = None

    @property
    def api_url(self) -> str:
        """The base URL of the API. Raises UsageError: the stack has no API."""
        return self.web_url or self.output("ApiUrl")

    def resources(self) -> Iterator[Resource]:
        """All resources of the stack."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        for page in pages.paginate(StackName=self.name):
            for resource in page["StackResourceSummaries"]:
                yield Resource(
                    resource["ResourceType"], resource["LogicalResourceId"], resource["PhysicalResourceId"]
                )

    def output(self, key: str) -> str:
        """The value of an output.

        Raises:
            UsageError: the stack has no such output.
        """
        if key not in self.outputs:
            raise UsageError(f"Stack {self.name} has no output {key!r}: is it a support pipeline?")
        return self.outputs[key]


def local_stack(environment: Mapping[str, str]) -> DeployedStack:
    """The stack that `make run` started, as stack.json in STACK_DIR (default `.local`) describes it.

    Raises:
        UsageError: no local stack is running, or it does not answer.
    """
    try:
        local = json.loads((Path(environment.get("STACK_DIR") or ".local") / "stack.json").read_text())
    except FileNotFoundError:
        raise UsageError(
            "No local stack is running. Start one with `make run`, or set STACK to a deployed one."
        ) from None
    session = boto3.Session(local["accessKeyId"], local["secretAccessKey"], region_name=local["region"])

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=local["endpointUrl"], config=_CONFIG)  # type: ignore[call-overload]

    return _read("the local stack", local["stackName"], client, local["webUrl"])


def deployed_stack(name: str, profile: str | None) -> DeployedStack:
    """A stack in an AWS account.

    Raises:
        UsageError: the profile, the credentials, the region or the stack does not exist.
    """
    try:
        session = boto3.Session(profile_name=profile)
    except BotoCoreError as error:
        raise UsageError(f"Stack {name} cannot be read: {error}") from error

    def client(service: str) -> Any:
        return session.client(service, config=_CONFIG)  # type: ignore[call-overload]

    return _read(f"stack {name} in {session.region_name}", name, client)


def _read(label: str, name: str, client: Callable[[str], Any], web_url: str | None = None) -> DeployedStack:
    try:
        (stack,) = client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        raise UsageError(f"Stack {name} cannot be read: {error}") from error
    return DeployedStack(
        label=label,
        name=name,
        client=client,
        outputs={output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])},
        parameters={p["ParameterKey"]: p["ParameterValue"] for p in stack.get("Parameters", [])},
        web_url=web_url,
    )
