"""Event source mappings of a CloudFormation template."""

from devtools.emulator.tests.harness import Emulator, unique


def test_a_concurrency_that_is_a_parameter_is_the_number_that_it_names(emulator: Emulator) -> None:
    queue = emulator.client("sqs").create_queue(QueueName=unique("queue"))["QueueUrl"].rpartition("/")[2]
    mapping = {
        "Type": "AWS::Lambda::EventSourceMapping",
        "Properties": {
            "EventSourceArn": f"arn:aws:sqs:us-east-1:000000000000:{queue}",
            "FunctionName": "consumer",
            "ScalingConfig": {"MaximumConcurrency": {"Ref": "AtOnce"}},
        },
    }

    stack = emulator.deploy(
        unique("stack"), {"Mapping": mapping}, Parameters={"AtOnce": {"Type": "Number", "Default": 5}}
    )

    found = emulator.client("lambda").get_event_source_mapping(UUID=stack["Mapping"])
    assert found["ScalingConfig"] == {"MaximumConcurrency": 5}
