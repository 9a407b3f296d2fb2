"""Alarms evaluate the metric with their dimensions; executions and queues have metrics."""

from typing import Any

import pytest

from devtools.emulator.tests.harness import Emulator, eventually, unique

FAILS = {"StartAt": "Lost", "States": {"Lost": {"Type": "Fail", "Error": "Lost"}}}
SUCCEEDS = {"StartAt": "Found", "States": {"Found": {"Type": "Succeed"}}}


def alarm(emulator: Emulator, machine: str, metric: str = "ExecutionsFailed", **settings: Any) -> str:
    name = unique("alarm")
    emulator.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        **{
            "Namespace": "AWS/States",
            "MetricName": metric,
            "Dimensions": [{"Name": "StateMachineArn", "Value": machine}],
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
            **settings,
        },
    )
    return name


def state(emulator: Emulator, name: str) -> str:
    (described,) = emulator.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return str(described["StateValue"])


def test_an_alarm_goes_off_only_for_failures_of_its_own_state_machine(emulator: Emulator) -> None:
    failing, other = emulator.create_state_machine(FAILS), emulator.create_state_machine(SUCCEEDS)
    own, others = alarm(emulator, failing), alarm(emulator, other)
    assert (state(emulator, own), state(emulator, others)) == ("OK", "OK")

    assert emulator.run(failing)["status"] == "FAILED"
    emulator.run(other)

    assert eventually(lambda: state(emulator, own) == "ALARM")
    assert state(emulator, others) == "OK"


def test_an_alarm_notifies_its_topic(emulator: Emulator) -> None:
    sqs, sns = emulator.client("sqs"), emulator.client("sns")
    topic = sns.create_topic(Name=unique("alarms"))["TopicArn"]
    queue, arn = emulator.create_queue()
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    machine = emulator.create_state_machine(FAILS)
    name = alarm(emulator, machine, AlarmActions=[topic])

    emulator.run(machine)

    assert eventually(lambda: state(emulator, name) == "ALARM")
    assert eventually(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))


@pytest.mark.parametrize(
    ("treatment", "expected"),
    [("notBreaching", "OK"), ("breaching", "ALARM"), ("missing", "INSUFFICIENT_DATA")],
)
def test_missing_data_is_treated_as_the_alarm_says(emulator: Emulator, treatment: str, expected: str) -> None:
    assert state(emulator, alarm(emulator, "nowhere", TreatMissingData=treatment)) == expected


@pytest.mark.parametrize(
    ("definition", "metric"), [(SUCCEEDS, "ExecutionsSucceeded"), (FAILS, "ExecutionsFailed")]
)
def test_executions_started_by_an_alias_count_for_their_state_machine(
    emulator: Emulator, definition: dict[str, Any], metric: str
) -> None:
    client = emulator.client("stepfunctions")
    machine = emulator.create_state_machine(definition)
    version = client.publish_state_machine_version(stateMachineArn=machine)["stateMachineVersionArn"]
    routing = [{"stateMachineVersionArn": version, "weight": 100}]
    alias = client.create_state_machine_alias(name="live", routingConfiguration=routing)
    started, ended = alarm(emulator, machine, "ExecutionsStarted"), alarm(emulator, machine, metric)

    emulator.run(alias["stateMachineAliasArn"])

    assert eventually(lambda: (state(emulator, started), state(emulator, ended)) == ("ALARM", "ALARM"))


def test_an_alarm_on_a_queue_goes_off_for_messages_in_that_queue(emulator: Emulator) -> None:
    sqs = emulator.client("sqs")
    own, other = (emulator.create_queue()[0] for _ in range(2))
    thresholds = {"ApproximateNumberOfMessagesVisible": 1, "ApproximateAgeOfOldestMessage": 0.01}
    alarms = [
        alarm(
            emulator, "", metric, Namespace="AWS/SQS", Statistic="Maximum", Threshold=threshold,
            Dimensions=[{"Name": "QueueName", "Value": queue.rpartition("/")[2]}],
        )
        for queue in (own, other)
        for metric, threshold in thresholds.items()
    ]  # fmt: skip
    assert {state(emulator, name) for name in alarms} == {"OK"}

    sqs.send_message(QueueUrl=own, MessageBody="{}")

    assert eventually(lambda: [state(emulator, name) for name in alarms] == ["ALARM", "ALARM", "OK", "OK"])
