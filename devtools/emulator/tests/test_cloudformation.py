"""How CloudFormation reads the values in a template."""

import json
from typing import Any

import pytest

from devtools.emulator.tests.harness import REGION, ROLE, Emulator, unique

MAPPINGS = {"Regions": {REGION: {"Prefix": "eu"}}}
DEFINITION = """
# A comment, and a string over two lines
StartAt: Greet
States:
  Greet:
    Type: Pass
    Result: >-
      Good ${TimeOfDay},
      yes: no
    End: true
"""


@pytest.mark.parametrize(
    "value",
    [
        {"Fn::FindInMap": ["Regions", {"Ref": "AWS::Region"}, "Prefix"]},
        {"Fn::Join": ["", ["e", "u"]]},
        {"Fn::Join": ["", {"Ref": "List"}]},
    ],
    ids=["in a mapping", "joined", "of a list parameter"],
)
def test_a_condition_evaluates_the_functions_in_it(emulator: Emulator, value: Any) -> None:
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


def test_the_maximum_concurrency_of_a_mapping_may_be_a_parameter(emulator: Emulator) -> None:
    _, queue_arn = emulator.create_queue()
    mapping = {
        "Type": "AWS::Lambda::EventSourceMapping",
        "Properties": {
            "EventSourceArn": queue_arn,
            "FunctionName": "consumer",
            "ScalingConfig": {"MaximumConcurrency": {"Ref": "Concurrency"}},
        },
    }

    stack = emulator.deploy(
        unique("stack"),
        {"Mapping": mapping},
        Parameters={"Concurrency": {"Type": "Number", "Default": 5}},
    )

    created = emulator.client("lambda").get_event_source_mapping(UUID=stack["Mapping"])
    assert created["ScalingConfig"] == {"MaximumConcurrency": 5}


def test_a_state_machines_definition_in_s3_may_be_yaml(emulator: Emulator) -> None:
    s3, bucket = emulator.client("s3"), unique("definitions")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=bucket, Key="greet.asl.yaml", Body=DEFINITION.encode())
    properties = {
        "StateMachineType": "EXPRESS",
        "DefinitionS3Location": {"Bucket": bucket, "Key": "greet.asl.yaml"},
        "DefinitionSubstitutions": {"TimeOfDay": "morning"},
        "RoleArn": ROLE,
    }
    resources = {"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}}
    ended = emulator.run(emulator.deploy(unique("yaml"), resources)["Machine"])
    assert (ended["status"], json.loads(ended["output"])) == ("SUCCEEDED", "Good morning, yes: no")
