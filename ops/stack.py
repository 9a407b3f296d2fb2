"""A deployed stack, local or in an AWS account, as CloudFormation describes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ops.options import UsageError

# Longer than SQS's long poll; and for Lambda, longer than an invocation of the sweep.
_READ_TIMEOUT, _INVOCATION_TIMEOUT = 30, 250
# Many, because FilterLogEvents allows only a few calls per second.
_ATTEMPTS = 6
_NO_LOCAL_STACK = "No local stack is running. Start one with `make run`, or name a deployed one with STACK=."


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

    def location(self) -> str:
        """Where the stack is: on this machine, or in which account and region. Raises botocore's errors."""
        if self.web_url:
            return f"the local stack at {self.web_url}"
        return f"stack {self.name} in {account_and_region(self.client('sts'))}"

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

    def physical_id(self, logical_id: str) -> str:
        """The name or ARN of a resource. Raises UsageError: the stack does not have the resource."""
        if found := find_physical_id(self.resources(), logical_id):
            return found
        raise UsageError(f"Stack {self.name} has no resource {logical_id}: is it a support pipeline?")

    def output(self, key: str) -> str:
        """The value of an output.

        Raises:
            UsageError: the stack has no such output.
        """
        if key not in self.outputs:
            raise UsageError(f"Stack {self.name} has no output {key!r}: is it a support pipeline?")
        return self.outputs[key]

    def parameter(self, key: str) -> str:
        """The value of a parameter.

        Raises:
            UsageError: the stack has no such parameter.
        """
        if key not in self.parameters:
            raise UsageError(f"Stack {self.name} has no parameter {key!r}: is it a support pipeline?")
        return self.parameters[key]


def find_physical_id(resources: Iterable[Resource], logical_id: str) -> str | None:
    """The name or ARN of the resource with this logical id; None if it is not among the resources."""
    return next((one.physical_id for one in resources if one.logical_id == logical_id), None)


def local_stack(environment: Mapping[str, str]) -> DeployedStack:
    """The stack that `make run` started, as stack.json in STACK_DIR (default `.local`) describes it.

    Raises:
        UsageError: no local stack is running, or it does not answer.
    """
    try:
        local = json.loads((Path(environment.get("STACK_DIR") or ".local") / "stack.json").read_text())
    except FileNotFoundError:
        raise UsageError(_NO_LOCAL_STACK) from None
    session = boto3.Session(local["accessKeyId"], local["secretAccessKey"], region_name=local["region"])

    def client(service: str, attempts: int = _ATTEMPTS) -> Any:
        return session.client(  # type: ignore[call-overload]
            service, endpoint_url=local["endpointUrl"], config=_config(service, attempts)
        )

    try:
        description = _describe(client("cloudformation", attempts=1), local["stackName"])
    except (BotoCoreError, ClientError) as error:
        # A stack that was killed leaves stack.json. Whatever uses its port now does not accept its key.
        raise UsageError(_NO_LOCAL_STACK) from error
    return _stack("the local stack", description, client, local["webUrl"])


def deployed_stack(name: str, profile: str | None) -> DeployedStack:
    """A stack in an AWS account.

    Raises:
        UsageError: the profile, the credentials, the region or the stack does not exist.
    """
    session = aws_session(profile)

    def client(service: str) -> Any:
        return session.client(service, config=_config(service))  # type: ignore[call-overload]

    try:
        description = _describe(client("cloudformation"), name)
    except (BotoCoreError, ClientError) as error:
        raise UsageError(f"Stack {name} cannot be read: {error}") from error
    return _stack(f"stack {name} in {session.region_name}", description, client)


def aws_session(profile: str | None, region: str | None = None) -> boto3.Session:
    """A session for an AWS account; without a region, in the region of the environment or the profile.

    Raises:
        UsageError: the profile does not exist, or the region or the credentials are missing.
    """
    try:
        session = boto3.Session(profile_name=profile, region_name=region)
        has_credentials = session.get_credentials() is not None
    except BotoCoreError as error:
        raise UsageError(f"The AWS profile cannot be used: {error}") from error
    if not session.region_name:
        raise UsageError("No AWS region is set: set AWS_DEFAULT_REGION, or a region in your AWS profile.")
    if not has_credentials:
        raise UsageError("AWS credentials are missing: sign in (aws sso login) or set AWS_PROFILE.")
    return session


def account_and_region(sts: Any) -> str:
    """`account 123456789012, region eu-west-1`. Raises botocore's errors."""
    return f"account {sts.get_caller_identity()['Account']}, region {sts.meta.region_name}"


def _config(service: str, attempts: int = _ATTEMPTS) -> Config:
    return Config(
        connect_timeout=5,
        read_timeout=_INVOCATION_TIMEOUT if service == "lambda" else _READ_TIMEOUT,
        retries={"total_max_attempts": attempts, "mode": "standard"},
    )


def _describe(cloudformation: Any, name: str) -> Mapping[str, Any]:
    (description,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    return dict(description)


def _stack(
    label: str, description: Mapping[str, Any], client: Callable[[str], Any], web_url: str | None = None
) -> DeployedStack:
    return DeployedStack(
        label=label,
        name=description["StackName"],
        client=client,
        outputs={output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])},
        parameters={p["ParameterKey"]: p["ParameterValue"] for p in description.get("Parameters", [])},
        web_url=web_url,
    )
