"""Checks before a deployment that it goes to AWS and that the model can be called there; changes nothing.

`make deploy` first runs `python -m ops.check_model --config-env STAGE …`, with the arguments of `sam deploy`.
It prints the account, the region and the models of the stack, after Bedrock has confirmed that the models can
be called there.

Exit codes: 0 the models can be called; 1 a call to AWS failed; 2 the models cannot be called, or the
environment is wrong: one sentence says why.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from infra.assemble import whole_template
from ops.options import UsageError, require_aws
from ops.stack import account_and_region, aws_session

if TYPE_CHECKING:
    from mypy_boto3_bedrock import BedrockClient

PROJECT = Path(__file__).parent.parent
_CONFIG = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 3, "mode": "standard"})
_MODEL = ("ModelId", "InferenceProfile")
_FALLBACK_MODEL = ("FallbackModelId", "FallbackInferenceProfile")
# `Name=value`, or `ParameterKey=Name,ParameterValue=value`.
_OVERRIDE_PATTERN = re.compile(r"(?:ParameterKey=)?(\w+)(?:,ParameterValue)?=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What `sam deploy` will deploy, and where; a region of None is the AWS profile's."""

    stack_name: str
    region: str | None
    profile: str | None
    parameters: Mapping[str, str]

    @classmethod
    def read(cls, samconfig: Path, arguments: Sequence[str]) -> Deployment:
        """The deployment that samconfig.toml and the arguments of `sam deploy` describe.

        Raises:
            UsageError: samconfig.toml has no section for the stage.
        """
        parser = argparse.ArgumentParser(allow_abbrev=False)
        parser.add_argument("--config-env", default="default")
        parser.add_argument("--stack-name")
        parser.add_argument("--region")
        parser.add_argument("--profile")
        parser.add_argument("--parameter-overrides", nargs="*")
        options, _ = parser.parse_known_args(arguments)
        sections = tomllib.loads(samconfig.read_text()).get(options.config_env)
        if sections is None:
            raise UsageError(f"samconfig.toml has no section {options.config_env}: set STAGE to another one.")
        settings = {**_section(sections, "global"), **_section(sections, "deploy")}
        overrides = options.parameter_overrides
        if overrides is None:
            overrides = settings.get("parameter_overrides", [])
        return cls(
            stack_name=options.stack_name or settings["stack_name"],
            region=options.region or settings.get("region"),
            profile=options.profile or settings.get("profile"),
            parameters=_parse_overrides(overrides),
        )


def _section(sections: Mapping[str, Any], name: str) -> dict[str, Any]:
    return dict(sections.get(name, {}).get("parameters", {}))


def _parse_overrides(overrides: str | Sequence[str]) -> dict[str, str]:
    words = shlex.split(overrides if isinstance(overrides, str) else " ".join(overrides))
    return {match[1]: match[2].strip("\"'") for word in words if (match := _OVERRIDE_PATTERN.fullmatch(word))}


def check(deployment: Deployment, template: Mapping[str, Any]) -> str:
    """Check a deployment; return a sentence with its account, region and models.

    Raises:
        UsageError: a model cannot be called in the region, or the region or the credentials are missing.
        BotoCoreError, ClientError: a call to AWS failed.
    """
    session = aws_session(deployment.profile, deployment.region)
    destination = account_and_region(session.client("sts", config=_CONFIG))
    parameters = {
        **{name: template["Parameters"][name]["Default"] for name in _MODEL + _FALLBACK_MODEL},
        **_deployed_parameters(session, deployment.stack_name),
        **deployment.parameters,
    }
    models = _models(session, parameters, template)
    return f"Deploying {deployment.stack_name} to {destination}, with {models}."


def _models(session: boto3.Session, parameters: Mapping[str, str], template: Mapping[str, Any]) -> str:
    """The model and the fallback model, in words."""
    bedrock = session.client("bedrock", config=_CONFIG)
    prefix = parameters["InferenceProfile"]
    if prefix == "auto" and parameters["ModelId"] == template["Parameters"]["ModelId"]["Default"]:
        prefix = template["Mappings"]["NovaLiteProfiles"].get(session.region_name, {}).get("Prefix")
    models = f"the model {_invocation_id(bedrock, parameters, _MODEL, prefix)}"
    if parameters["FallbackModelId"]:
        prefix = parameters["FallbackInferenceProfile"]
        models += f" and the fallback model {_invocation_id(bedrock, parameters, _FALLBACK_MODEL, prefix)}"
    return models


def _invocation_id(
    bedrock: BedrockClient, parameters: Mapping[str, str], names: tuple[str, str], prefix: str | None
) -> str:
    """The id with which to call a model; `names` are the parameters of the model and of its profile.

    Raises:
        UsageError: the model cannot be called.
    """
    model_id, profile = (parameters[name] for name in names)
    available = AvailableModel.read(bedrock, model_id)
    if prefix is None or prefix not in available.prefixes:
        raise UsageError(available.advice(bedrock.meta.region_name, profile, names))
    return available.invocation_id(prefix)


def _deployed_parameters(session: boto3.Session, stack_name: str) -> dict[str, str]:
    """The parameters of the existing stack, which `sam deploy` keeps unless it gets others."""
    cloudformation = session.client("cloudformation", config=_CONFIG)
    try:
        (stack,) = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return {}
        raise
    return {
        parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack.get("Parameters", [])
    }


@dataclass(frozen=True, slots=True)
class AvailableModel:
    """The prefixes of the inference profiles with which a model can be called from a region.

    The prefix `none` stands for a call without a profile.
    """

    model_id: str
    prefixes: Sequence[str]

    @classmethod
    def read(cls, bedrock: BedrockClient, model_id: str) -> AvailableModel:
        """What Bedrock offers in the client's region."""
        models = bedrock.list_foundation_models(byInferenceType="ON_DEMAND")["modelSummaries"]
        pages = bedrock.get_paginator("list_inference_profiles").paginate(typeEquals="SYSTEM_DEFINED")
        profiles = [
            profile["inferenceProfileId"]
            for page in pages
            for profile in page["inferenceProfileSummaries"]
            if profile["status"] == "ACTIVE"
        ]
        suffix = f".{model_id}"
        prefixes = sorted(profile.removesuffix(suffix) for profile in profiles if profile.endswith(suffix))
        is_in_region = any(model["modelId"] == model_id for model in models)
        return cls(model_id, [*prefixes, "none"] if is_in_region else prefixes)

    def invocation_id(self, prefix: str) -> str:
        """The id with which to call the model."""
        return self.model_id if prefix == "none" else f"{prefix}.{self.model_id}"

    def advice(self, region: str, profile: str, names: tuple[str, str]) -> str:
        """What to change when the model cannot be called with this profile; `names` as above."""
        model_parameter, profile_parameter = names
        if not self.prefixes:
            return (
                f"Bedrock does not offer {self.model_id} in {region}: "
                f"choose another region, or another {model_parameter} and {profile_parameter}."
            )
        return (
            f"{self.model_id} cannot be called in {region} with {profile_parameter}={profile}: "
            f"set it to {' or '.join(self.prefixes)}, which Bedrock offers there."
        )


def main(arguments: Sequence[str]) -> int:
    """Check the deployment and print the result; return the exit code."""
    try:
        require_aws(os.environ)
        deployment = Deployment.read(PROJECT / "samconfig.toml", arguments)
        result = check(deployment, whole_template())
    except UsageError as error:
        return _fail(str(error), 2)
    except EndpointConnectionError as error:
        return _fail(f"The region cannot be reached, or does not offer the service: {error}", 1)
    except (BotoCoreError, ClientError) as error:
        return _fail(f"A call to AWS failed: {error}", 1)
    sys.stdout.write(f"{result}\n")
    sys.stdout.flush()
    return 0


def _fail(message: str, exit_code: int) -> int:
    sys.stderr.write(f"{' '.join(message.split())} Nothing was deployed.\n")
    return exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
