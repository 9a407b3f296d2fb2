"""Alarms evaluate the metric with their dimensions; executions and queues have metrics."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.emulator.tests.harness import ROLE, Emulator, eventually, http, unique
from devtools.emulator.tests.test_access_log import FORMAT, resources, set_role
from devtools.emulator.tests.test_control_plane import send

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


def test_metrics_in_a_functions_log_have_exactly_their_dimensions(emulator: Emulator) -> None:
    function = emulator.create_function(
        "import json\n"
        "def handler(event, context):\n"
        "    metrics = [{'Name': 'Done', 'Unit': 'Count'}]\n"
        "    directive = {'Namespace': event['namespace'], 'Metrics': metrics,\n"
        "                 'Dimensions': [['Stage'], ['Stage', 'Step']]}\n"
        "    print(json.dumps({'_aws': {'Timestamp': 1, 'CloudWatchMetrics': [directive]},\n"
        "                      'Stage': 'test', 'Step': 'one', 'Done': [1, 2]}))\n"
    )
    namespace = unique("Namespace")

    emulator.invoke(function, {"namespace": namespace})

    cloudwatch = emulator.client("cloudwatch")
    assert {
        tuple(sorted(dimension["Value"] for dimension in metric["Dimensions"]))
        for metric in cloudwatch.list_metrics(Namespace=namespace)["Metrics"]
    } == {("test",), ("one", "test")}


def put(emulator: Emulator, namespace: str, minutes_ago: float, **values: float) -> None:
    """Put data points of metrics without dimensions."""
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    emulator.client("cloudwatch").put_metric_data(
        Namespace=namespace,
        MetricData=[{"MetricName": name, "Value": value, "Timestamp": at} for name, value in values.items()],
    )


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [([], "OK"), ([0.5], "OK"), ([0.5, 2.5], "ALARM"), ([0.5, 0.6], "OK"), ([4, 5], "OK")],
)
def test_an_alarm_counts_the_periods_that_breach(
    emulator: Emulator, minutes: list[float], expected: str
) -> None:
    namespace = unique("Namespace")
    for minutes_ago in minutes:
        put(emulator, namespace, minutes_ago, Done=2)

    name = alarm(
        emulator, "", "Done", Namespace=namespace, Dimensions=[], Statistic="Average",
        EvaluationPeriods=3, DatapointsToAlarm=2,
    )  # fmt: skip

    assert state(emulator, name) == expected


@pytest.fixture
def minute(emulator: Emulator) -> Iterator[Callable[[float], None]]:
    """Sets the length of a minute."""

    def set_seconds(seconds: float) -> None:
        body = json.dumps({"alarms.minute": seconds}).encode()
        assert send(emulator, "POST", "/_ministack/config", body, service="s3").status_code == 200

    yield set_seconds
    set_seconds(60)


def test_the_length_of_a_minute_can_be_changed(emulator: Emulator, minute: Callable[[float], None]) -> None:
    namespace = unique("Namespace")
    put(emulator, namespace, 2, Done=2)
    name = alarm(emulator, "", "Done", Namespace=namespace, Dimensions=[])
    assert state(emulator, name) == "OK"

    minute(600)
    assert state(emulator, name) == "ALARM"

    minute(60)
    assert state(emulator, name) == "OK"


def test_messages_age_as_fast_as_periods_pass(emulator: Emulator, minute: Callable[[float], None]) -> None:
    queue, _ = emulator.create_queue()
    name = alarm(
        emulator, "", "ApproximateAgeOfOldestMessage", Namespace="AWS/SQS", Statistic="Maximum",
        Dimensions=[{"Name": "QueueName", "Value": queue.rpartition("/")[2]}], Threshold=3600,
    )  # fmt: skip
    emulator.client("sqs").send_message(QueueUrl=queue, MessageBody="{}")
    assert state(emulator, name) == "OK"

    minute(0.001)

    assert eventually(lambda: state(emulator, name) == "ALARM")


def math_alarm(emulator: Emulator, namespace: str, *expressions: str) -> str:
    """An alarm above 10 on the last of the expressions `e0`, `e1` … over the metrics `failed`, `started`."""
    metrics = [
        {
            "Id": name,
            "ReturnData": False,
            "MetricStat": {
                "Metric": {"Namespace": namespace, "MetricName": name},
                "Period": 60,
                "Stat": "Sum",
            },
        }
        for name in ("failed", "started")
    ]
    computed = [
        {"Id": f"e{number}", "Expression": expression, "ReturnData": expression == expressions[-1]}
        for number, expression in enumerate(expressions)
    ]
    properties = {
        "Metrics": metrics + computed,
        "EvaluationPeriods": 1,
        "Threshold": 10,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    alarm = {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}
    return emulator.deploy(unique("alarms"), {"Alarm": alarm})["Alarm"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"failed": 1, "started": 20}, "OK"),
        ({"failed": 3, "started": 20}, "ALARM"),
        ({"failed": 3}, "OK"),
        ({"failed": 3, "started": 0}, "OK"),
    ],
)
def test_an_alarm_on_a_rate_goes_off_above_its_share(
    emulator: Emulator, values: dict[str, float], expected: str
) -> None:
    namespace = unique("Namespace")
    name = math_alarm(emulator, namespace, "100 * failed / started")

    put(emulator, namespace, 0, **values)

    assert state(emulator, name) == expected


def test_sums_and_maxima_ignore_missing_data(emulator: Emulator) -> None:
    namespace = unique("Namespace")
    names = [
        math_alarm(emulator, namespace, "SUM([failed, started])", "e0 * 1"),
        math_alarm(emulator, namespace, "MAX([failed, started])"),
        math_alarm(emulator, namespace, "failed + started"),
    ]

    put(emulator, namespace, 0, failed=11)

    assert [state(emulator, name) for name in names] == ["ALARM", "ALARM", "OK"]


def test_an_expression_that_is_not_supported_makes_the_deployment_fail(emulator: Emulator) -> None:
    with pytest.raises(AssertionError, match="is not supported"):
        math_alarm(emulator, "Namespace", "RATE(failed)")


def test_the_average_of_an_apis_errors_is_their_rate(emulator: Emulator) -> None:
    set_role(emulator, ROLE)
    name = unique("api")
    api = emulator.deploy(name, resources(unique("/aws/apigateway/access"), FORMAT, name))["Api"]
    url = f"{emulator.url}/_aws/execute-api/{api}/test"

    statuses = [http.get(url + path).status_code for path in ("/items/1", "/signed", "/items/2", "/items/3")]

    assert statuses == [200, 403, 200, 200]
    (points,) = emulator.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/ApiGateway",
        MetricName="4XXError",
        Dimensions=[{"Name": "ApiName", "Value": name}, {"Name": "Stage", "Value": "test"}],
        StartTime=datetime.now(UTC) - timedelta(minutes=5),
        EndTime=datetime.now(UTC) + timedelta(minutes=5),
        Period=3600,
        Statistics=["Average", "Sum"],
    )["Datapoints"]
    assert (points["Average"], points["Sum"]) == (0.25, 1)


def test_an_invocation_by_a_state_machine_counts_like_any_other(emulator: Emulator) -> None:
    function = emulator.create_function(
        "import time\ndef handler(event, context):\n    time.sleep(0.1)\n    return 1 / event['divisor']\n"
    )
    call = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload.$": "$"},
        "End": True,
    }
    machine = emulator.create_state_machine({"StartAt": "Call", "States": {"Call": call}})

    emulator.run(machine, '{"divisor": 1}')
    emulator.run(machine, '{"divisor": 0}')
    emulator.invoke(function, {"divisor": 1})

    def total(metric: str) -> float:
        (points,) = emulator.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName=metric,
            Dimensions=[{"Name": "FunctionName", "Value": function}],
            StartTime=datetime.now(UTC) - timedelta(hours=1),
            EndTime=datetime.now(UTC) + timedelta(hours=1),
            Period=86400,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(points["Sum"])

    assert (total("Invocations"), total("Errors"), total("Throttles")) == (3, 1, 0)
    assert 300 <= total("Duration") < 20_000
