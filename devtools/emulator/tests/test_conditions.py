"""Conditions of a CloudFormation template."""

from typing import Any

import pytest

from devtools.emulator.tests.harness import REGION, Emulator, unique

MAPPINGS = {"Regions": {REGION: {"Prefix": "eu"}}}


@pytest.mark.parametrize(
    "value",
    [
        {"Fn::FindInMap": ["Regions", {"Ref": "AWS::Region"}, "Prefix"]},
        {"Fn::Join": ["", ["e", "u"]]},
        {"Fn::Join": ["", {"Ref": "List"}]},
    ],
    ids=["in a mapping", "joined", "of a list parameter"],
)
def test_a_condition_compares_values_not_how_they_are_written(emulator: Emulator, value: Any) -> None:
    topic = {"Type": "AWS::SNS::Topic"}

    stack = emulator.deploy(
        unique("stack"),
        {
            "Same": {**topic, "Condition": "IsEu"},
            "Other": {**topic, "Condition": "IsNotEu"},
        },
        Parameters={"List": {"Type": "CommaDelimitedList", "Default": "e,u"}},
        Mappings=MAPPINGS,
        Conditions={
            "IsEu": {"Fn::Equals": [value, "eu"]},
            "IsNotEu": {"Fn::Not": [{"Condition": "IsEu"}]},
        },
    )

    assert set(stack) == {"Same"}
