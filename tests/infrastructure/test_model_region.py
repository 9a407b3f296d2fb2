"""The model and the inference profile that are called in each region, and the permissions for them."""

import json
import re
from functools import cache
from typing import Any

import boto3
import pytest

from infra.prices import model_cost
from support.domain.token_prices import TokenPrices
from tests.infrastructure.rendering import render

type Document = dict[str, Any]

NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "anthropic.claude-haiku-4-5-20251001-v1:0"


@cache
def rendered(template: str, region: str, **parameters: str) -> Document:
    return render(json.loads(template), region=region, **parameters)


def text(value: Any, parameters: dict[str, str]) -> str:
    """A value in which Fn::Sub is resolved as far as the values are known here."""
    pattern, known = (value["Fn::Sub"], {}) if isinstance(value["Fn::Sub"], str) else value["Fn::Sub"]
    for name, replacement in (parameters | known).items():
        pattern = pattern.replace(f"${{{name}}}", replacement)
    return str(pattern)


def called(
    template: Document, region: str, variable: str = "MODEL_ID", sid: str = "AskTheModel", **parameters: str
) -> tuple[str, list[str]]:
    """The id with which a model is called, and the resources that the function may call for it."""
    resources = rendered(json.dumps(template), region, **parameters)
    known = {"ModelId": NOVA} | parameters
    variables = resources["ClassifyFunction"]["Properties"]["Environment"]["Variables"]
    policies = resources["ClassifyFunctionRole"]["Properties"]["Policies"]
    allowed = [
        resource
        for policy in policies
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Sid"] == sid
        for resource in (
            statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        )
    ]
    model_id = variables[variable]
    return (
        model_id if isinstance(model_id, str) else text(model_id, known),
        [text(arn, known) for arn in allowed],
    )


def in_region(model: str) -> list[str]:
    return [f"arn:${{AWS::Partition}}:bedrock:${{AWS::Region}}::foundation-model/{model}"]


IN_REGION = in_region(NOVA)


@pytest.mark.parametrize(
    "region",
    ["us-east-1", "us-gov-west-1", "ap-northeast-1", "ap-southeast-2", "eu-north-1", "eu-west-2"],
)
def test_the_default_model_is_called_in_a_region_that_has_it(template: Document, region: str) -> None:
    assert called(template, region) == (NOVA, IN_REGION)


@pytest.mark.parametrize(
    ("region", "prefix"),
    [
        ("us-east-2", "us"),
        ("us-west-2", "us"),
        ("eu-central-1", "eu"),
        ("eu-west-1", "eu"),
        ("ap-south-1", "apac"),
    ],
)
def test_in_other_regions_it_is_called_through_the_profile_of_the_geography(
    template: Document, region: str, prefix: str
) -> None:
    assert called(template, region) == (f"{prefix}.{NOVA}", through(prefix, NOVA))


def through(prefix: str, model: str) -> list[str]:
    account = "bedrock:${AWS::Region}:${AWS::AccountId}"
    return [
        f"arn:${{AWS::Partition}}:{account}:inference-profile/{prefix}.{model}",
        f"arn:${{AWS::Partition}}:bedrock:*::foundation-model/{model}",
    ]


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "sa-east-1"])
def test_a_given_profile_or_none_overrides_the_mapping(template: Document, region: str) -> None:
    named = called(template, region, InferenceProfile="global", ModelId=CLAUDE)
    assert named == (f"global.{CLAUDE}", through("global", CLAUDE))
    assert called(template, region, InferenceProfile="none") == (NOVA, IN_REGION)


def fallback(template: Document, **parameters: str) -> tuple[str, list[str]]:
    return called(template, "eu-west-1", "FALLBACK_MODEL_ID", "AskTheFallbackModel", **parameters)


def test_by_default_there_is_no_second_model_and_no_permission_or_alarm_for_it(template: Document) -> None:
    assert fallback(template) == ("", [])
    # A profile without a model changes nothing.
    assert fallback(template, FallbackInferenceProfile="eu") == ("", [])
    assert "FallbackRejectedAlarm" not in rendered(json.dumps(template), "eu-west-1")


def test_a_second_model_is_called_in_the_region_or_through_the_given_profile(template: Document) -> None:
    assert fallback(template, FallbackModelId=CLAUDE) == (CLAUDE, in_region(CLAUDE))
    through_profile = fallback(template, FallbackModelId=CLAUDE, FallbackInferenceProfile="eu")
    assert through_profile == (f"eu.{CLAUDE}", through("eu", CLAUDE))
    # The first model is called as before.
    first = called(template, "eu-west-1", FallbackModelId=CLAUDE, FallbackInferenceProfile="eu")
    assert first == (f"eu.{NOVA}", through("eu", NOVA))
    assert "FallbackRejectedAlarm" in rendered(json.dumps(template), "eu-west-1", FallbackModelId=CLAUDE)


def test_the_profile_of_a_second_model_cannot_be_auto(template: Document) -> None:
    allowed = template["Parameters"]["FallbackInferenceProfile"]["AllowedPattern"]
    matches = {value: bool(re.fullmatch(allowed, value)) for value in ("none", "us", "autobahn", "auto")}
    assert matches == {"none": True, "us": True, "autobahn": True, "auto": False}


def test_auto_is_allowed_only_in_regions_of_the_mapping(template: Document) -> None:
    rule = template["Rules"]["AutoKnowsTheModelAndTheRegion"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "InferenceProfile"}, "auto"]}
    of_model, of_region = (assertion["Assert"] for assertion in rule["Assertions"])
    assert of_model == {"Fn::Equals": [{"Ref": "ModelId"}, template["Parameters"]["ModelId"]["Default"]]}
    regions, region = of_region["Fn::Contains"]
    assert region == {"Ref": "AWS::Region"}
    mapping = template["Mappings"]["NovaLiteProfiles"]
    assert set(regions) == {name for name, entry in mapping.items() if entry["Prefix"] != "unknown"}
    assert all(
        "Set it" in a["AssertDescription"] or "set" in a["AssertDescription"] for a in rule["Assertions"]
    )


def test_every_region_that_the_sdk_knows_has_an_entry(template: Document) -> None:
    """Otherwise CloudFormation would report an unclear error of the mapping instead of that of the rule."""
    session = boto3.Session()
    known = {
        region
        for partition in ("aws", "aws-us-gov", "aws-cn")
        for region in session.get_available_regions("cloudformation", partition_name=partition)
    }
    assert known <= set(template["Mappings"]["NovaLiteProfiles"])


def test_the_default_token_prices_are_those_of_the_default_model(template: Document) -> None:
    parameters = template["Parameters"]
    prices = TokenPrices.parse(parameters["TokenPrices"]["Default"])
    cost = prices.cost(input_tokens=1_000, output_tokens=100)
    assert cost == pytest.approx(model_cost(parameters["ModelId"]["Default"], 1_000, 100))
