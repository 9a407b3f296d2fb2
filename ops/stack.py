"""A deployed stack, on this machine or in an AWS account: both are read from CloudFormation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ops.errors import UsageError

# FilterLogEvents allows few calls a second, and a person waits: patient. Read above SQS's long poll.
_CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 6, "mode": "standard"})


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of a stack: its type, its name in the template, and its name or ARN in the account."""

    kind: str
    logical_id: str
    physical_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedStack:
    """A stack's name, its outputs and parameters, and clients for it: `client("sqs")`.

    `front_door_url` is the API's address when it is not the one that AWS gave it.
    """

    title: str
    name: str
    client: Callable[[str], Any]
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    front_door_url: str | None = None

    @property
    def api_url(self) -> str:
        """Where requests are sent to. Raises UsageError: the stack has no API."""
        return self.front_door_url or self.output("ApiUrl")

    def resources(self) -> Iterator[Resource]:
        """All its resources."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        for page in pages.paginate(StackName=self.name):
            for one in page["StackResourceSummaries"]:
                yield Resource(one["ResourceType"], one["LogicalResourceId"], one["PhysicalResourceId"])

    def output(self, key: str) -> str:
        """The value of an output.

        Raises:
            UsageError: the stack has no such output.
        """
        if key not in self.outputs:
            raise UsageError(f"Stack {self.name} has no output {key!r}: is it a support pipeline?")
        return self.outputs[key]


def local_stack(environment: Mapping[str, str]) -> DeployedStack:
    """The stack that `make run` started, as it is described in stack.json (in STACK_DIR, `.local`).

    Raises:
        UsageError: none is running, or it does not answer.
    """
    try:
        local = json.loads((Path(environment.get("STACK_DIR") or ".local") / "stack.json").read_text())
    except FileNotFoundError:
        raise UsageError(
            "No local stack is running. Start one with `make run`, or name a deployed one: STACK=…."
        ) from None
    session = boto3.Session(local["accessKeyId"], local["secretAccessKey"], region_name=local["region"])

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=local["endpointUrl"], config=_CONFIG)  # type: ignore[call-overload]

    return _read("the local stack", local["stackName"], client, local["frontDoorUrl"])


def deployed_stack(name: str, profile: str | None) -> DeployedStack:
    """A stack in an AWS account.

    Raises:
        UsageError: the credentials, the region or the stack is missing.
    """
    try:
        session = boto3.Session(profile_name=profile)
    except BotoCoreError as error:
        raise UsageError(f"Stack {name} cannot be read: {error}") from error

    def client(service: str) -> Any:
        return session.client(service, config=_CONFIG)  # type: ignore[call-overload]

    return _read(f"stack {name} in {session.region_name}", name, client)


def _read(
    title: str, name: str, client: Callable[[str], Any], front_door_url: str | None = None
) -> DeployedStack:
    try:
        (stack,) = client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        raise UsageError(f"Stack {name} cannot be read: {error}") from error
    return DeployedStack(
        title=title,
        name=name,
        client=client,
        outputs={output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])},
        parameters={p["ParameterKey"]: p["ParameterValue"] for p in stack.get("Parameters", [])},
        front_door_url=front_door_url,
    )
