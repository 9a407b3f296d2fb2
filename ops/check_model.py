"""Can the model be called where the stack is to be deployed? `python -m ops.check_model --config-env STAGE …`

`make deploy` runs it first, with the arguments that it gives to `sam deploy`. It says where the stack goes
and which model it calls, and which as the second, and asks Bedrock whether they can be called there. It
changes nothing.

Exit codes: 0 the model can be called; 1 it cannot, or AWS could not be asked: the one sentence says why.
"""

from __future__ import annotations

import argparse
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
from ops.errors import UsageError

if TYPE_CHECKING:
    from mypy_boto3_bedrock import BedrockClient

PROJECT = Path(__file__).parent.parent
_CONFIG = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 3, "mode": "standard"})
_MODEL = ("ModelId", "InferenceProfile")
_FALLBACK_MODEL = ("FallbackModelId", "FallbackInferenceProfile")
# `Name=value`, or `ParameterKey=Name,ParameterValue=value`.
_OVERRIDE = re.compile(r"(?:ParameterKey=)?(\w+)(?:,ParameterValue)?=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What `sam deploy` is going to deploy, and where to: `None` is what the AWS profile says."""

    stack_name: str
    region: str | None
    profile: str | None
    parameters: Mapping[str, str]

    @classmethod
    def read(cls, samconfig: Path, arguments: Sequence[str]) -> Deployment:
        """The deployment that `sam deploy` makes of samconfig.toml and its arguments.

        Raises:
            UsageError: samconfig.toml has no such section.
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
            raise UsageError(f"samconfig.toml has no section {options.config_env}: choose another STAGE.")
        settings = {**_section(sections, "global"), **_section(sections, "deploy")}
        overrides = options.parameter_overrides
        if overrides is None:
            overrides = settings.get("parameter_overrides", [])
        return cls(
            stack_name=options.stack_name or settings["stack_name"],
            region=options.region or settings.get("region"),
            profile=options.profile or settings.get("profile"),
            parameters=_overrides(
                settings.get("parameter_overrides", []) if overrides is None else overrides
            ),
        )


def _section(sections: Mapping[str, Any], name: str) -> dict[str, Any]:
    return dict(sections.get(name, {}).get("parameters", {}))


def _overrides(given: str | Sequence[str]) -> dict[str, str]:
    words = shlex.split(given if isinstance(given, str) else " ".join(given))
    return {match[1]: match[2].strip("\"'") for word in words if (match := _OVERRIDE.fullmatch(word))}


def check(deployment: Deployment, template: Mapping[str, Any]) -> str:
    """Where the stack goes and which model it calls, when the model can be called there.

    Raises:
        UsageError: it cannot, or the region or the credentials are missing.
        BotoCoreError, ClientError: AWS could not be asked.
    """
    session = boto3.Session(profile_name=deployment.profile, region_name=deployment.region)
    if not session.region_name:
        raise UsageError("No region is chosen: set AWS_DEFAULT_REGION, or give ARGS='--region …'.")
    if not session.get_credentials():
        raise UsageError("There are no AWS credentials: sign in (aws sso login), or set AWS_PROFILE.")
    account = session.client("sts", config=_CONFIG).get_caller_identity()["Account"]
    parameters = {
        **{name: template["Parameters"][name]["Default"] for name in _MODEL + _FALLBACK_MODEL},
        **_deployed_parameters(session, deployment.stack_name),
        **deployment.parameters,
    }
    bedrock = session.client("bedrock", config=_CONFIG)
    prefix = parameters["InferenceProfile"]
    if prefix == "auto" and parameters["ModelId"] == template["Parameters"]["ModelId"]["Default"]:
        prefix = template["Mappings"]["NovaLiteProfiles"].get(session.region_name, {}).get("Prefix")
    models = f"the model {_callable_id(bedrock, parameters, _MODEL, prefix)}"
    if parameters["FallbackModelId"]:
        second = _callable_id(bedrock, parameters, _FALLBACK_MODEL, parameters["FallbackInferenceProfile"])
        models += f", and {second} when that is throttled or unavailable"
    place = f"account {account}, region {session.region_name}"
    return f"Deploying {deployment.stack_name} to {place}, with {models}."


def _callable_id(
    bedrock: BedrockClient, parameters: Mapping[str, str], names: tuple[str, str], prefix: str | None
) -> str:
    """The id by which a model is called; `names` are the parameters of the model and of its profile.

    Raises:
        UsageError: it cannot be called.
    """
    model_id, chosen = (parameters[name] for name in names)
    offer = Offer.of(bedrock, model_id)
    if prefix is None or prefix not in offer.prefixes:
        raise UsageError(offer.refusal(bedrock.meta.region_name, chosen, names))
    return offer.id_through(prefix)


def _deployed_parameters(session: boto3.Session, stack_name: str) -> dict[str, str]:
    """The parameters of the stack that is there, which `sam deploy` keeps when it is given no others."""
    cloudformation = session.client("cloudformation", config=_CONFIG)
    try:
        (stack,) = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return {}
        raise
    return {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", [])}


@dataclass(frozen=True, slots=True)
class Offer:
    """The prefixes of profiles, or `none`, by which Bedrock lets a model be called from a region."""

    model_id: str
    prefixes: Sequence[str]

    @classmethod
    def of(cls, bedrock: BedrockClient, model_id: str) -> Offer:
        """What Bedrock offers in the client's region."""
        models = bedrock.list_foundation_models(byInferenceType="ON_DEMAND")["modelSummaries"]
        pages = bedrock.get_paginator("list_inference_profiles").paginate(typeEquals="SYSTEM_DEFINED")
        profiles = [
            one["inferenceProfileId"]
            for page in pages
            for one in page["inferenceProfileSummaries"]
            if one["status"] == "ACTIVE"
        ]
        through = [p.removesuffix(f".{model_id}") for p in profiles if p.endswith(f".{model_id}")]
        in_region = any(model["modelId"] == model_id for model in models)
        return cls(model_id, [*sorted(through), *["none"] * in_region])

    def id_through(self, prefix: str) -> str:
        """The id by which the model is called."""
        return self.model_id if prefix == "none" else f"{prefix}.{self.model_id}"

    def refusal(self, region: str, chosen: str, names: tuple[str, str]) -> str:
        """What to do instead of the profile that was chosen; `names` are as in `_callable_id`."""
        model, profile = names
        if not self.prefixes:
            return (
                f"Bedrock does not offer {self.model_id} in {region}: "
                f"choose another region, or another {model} and {profile}."
            )
        return (
            f"{self.model_id} cannot be called in {region} with {profile}={chosen}: "
            f"set it to {' or '.join(self.prefixes)}, which Bedrock offers there."
        )


def main(arguments: Sequence[str]) -> int:
    """Check, say what was found; return the exit code."""
    try:
        deployment = Deployment.read(PROJECT / "samconfig.toml", arguments)
        said = check(deployment, whole_template())
    except UsageError as error:
        return _complain(str(error))
    except EndpointConnectionError as error:
        return _complain(f"The region cannot be reached, or does not have the service: {error}")
    except (BotoCoreError, ClientError) as error:
        return _complain(f"AWS could not be asked whether the model can be called: {error}")
    sys.stdout.write(f"{said}\n")
    sys.stdout.flush()
    return 0


def _complain(text: str) -> int:
    sys.stderr.write(f"{' '.join(text.split())} Nothing was deployed.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
