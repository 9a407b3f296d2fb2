"""The alarms: each says how urgent it is and what to do, and watches a metric that somebody records."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.domain import metrics
from support.domain.metrics import Metric
from tests.integration.test_alarms import DRIVEN

type Document = dict[str, Any]

DOCS = Path(__file__).parents[2] / "docs"
RUNBOOK = (DOCS / "runbook.md").read_text()
OWN = {metric.name: metric for metric in vars(metrics).values() if isinstance(metric, Metric)}

# The metrics of AWS that alarms and dashboard use, with their dimensions, from the services' guides.
FUNCTION = ("FunctionName",)
API = ("ApiName", "Stage")
AWS_METRICS = {
    ("AWS/States", "ExecutionsStarted"): ("StateMachineArn",),
    ("AWS/States", "ExecutionsFailed"): ("StateMachineArn",),
    ("AWS/States", "ExecutionsTimedOut"): ("StateMachineArn",),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): ("QueueName",),
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): ("QueueName",),
    ("AWS/Lambda", "Errors"): FUNCTION,
    ("AWS/Lambda", "Invocations"): FUNCTION,
    ("AWS/Lambda", "Throttles"): FUNCTION,
    ("AWS/Lambda", "Duration"): FUNCTION,
    ("AWS/ApiGateway", "Count"): API,
    ("AWS/ApiGateway", "4XXError"): API,
    ("AWS/ApiGateway", "5XXError"): API,
    ("AWS/ApiGateway", "Latency"): API,
    ("AWS/DynamoDB", "ReadThrottleEvents"): ("TableName",),
    ("AWS/DynamoDB", "WriteThrottleEvents"): ("TableName",),
}


def is_recorded(namespace: str, name: str, dimensions: set[str]) -> bool:
    """Whether AWS or the functions record a metric with exactly these dimensions."""
    if namespace == "SupportPipeline":
        return dimensions - {"service", "Stage"} in [{by} - {""} for by in OWN[name].by]
    return dimensions == set(AWS_METRICS[namespace, name])


@pytest.fixture(scope="module")
def alarms(template: Document) -> dict[str, Document]:
    """The properties of the metric alarms by name."""
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    }


def severity(alarm: Document) -> str:
    return str(alarm["AlarmDescription"]).partition(":")[0]


def watched(alarm: Document) -> Iterator[Document]:
    """The metrics that an alarm uses."""
    if "Metrics" in alarm:
        yield from (query["MetricStat"]["Metric"] for query in alarm["Metrics"] if "MetricStat" in query)
    else:
        yield alarm


def test_the_runbook_has_a_row_for_each_alarm_with_its_severity(alarms: dict[str, Document]) -> None:
    rows = re.findall(r'^\| <a id="(\w+)"></a>`(\w+)` \| (\w+) \|', RUNBOOK, re.M)

    assert [anchor for anchor, name, _ in rows] == [name.lower() for _, name, _ in rows]
    severities = {name: severity(alarm) for name, alarm in alarms.items()}
    assert {name: level for _, name, level in rows} == severities | {"OnCallAlarm": "CRITICAL"}
    assert set(severities.values()) == {"CRITICAL", "WARNING"}


def test_every_alarm_leads_to_the_runbook_and_tells_when_it_is_over(alarms: dict[str, Document]) -> None:
    for name, alarm in alarms.items():
        assert alarm["AlarmDescription"].endswith(f" Runbook: docs/runbook.md#{name.lower()}")
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopic"}]
        expected = "breaching" if name == "MailSubscriptionLostAlarm" else "notBreaching"
        assert alarm["TreatMissingData"] == expected


def test_every_alarm_watches_metrics_that_are_recorded_with_its_dimensions(
    alarms: dict[str, Document],
) -> None:
    for name, alarm in alarms.items():
        for metric in watched(alarm):
            dimensions = {dimension["Name"] for dimension in metric["Dimensions"]}
            assert is_recorded(metric["Namespace"], metric["MetricName"], dimensions), name


def test_an_alarm_uses_at_most_ten_metrics_and_ten_expressions(alarms: dict[str, Document]) -> None:
    for alarm in alarms.values():
        kinds = ["MetricStat" in query for query in alarm.get("Metrics", [])]
        assert kinds.count(True) <= 10
        assert kinds.count(False) <= 10
        period = alarm.get("Period") or alarm["Metrics"][0]["MetricStat"]["Period"]
        assert period * alarm["EvaluationPeriods"] <= 86_400


def test_the_alarm_on_durations_knows_each_functions_time_out(
    alarms: dict[str, Document], template: Document
) -> None:
    queries = alarms["FunctionDurationAlarm"]["Metrics"]
    functions = {
        query["Id"]: query["MetricStat"]["Metric"]["Dimensions"][0]["Value"]["Ref"]
        for query in queries
        if "MetricStat" in query
    }
    default = template["Globals"]["Function"]["Timeout"]
    time_outs = {
        name: 1000 * template["Resources"][function]["Properties"].get("Timeout", default)
        for name, function in functions.items()
    }
    divisions = [
        (re.findall(r"[a-z]+", operands), int(divisor))
        for query in queries
        if "Expression" in query
        for operands, divisor in re.findall(r"(.+) / (\d+)$", query["Expression"])
    ]

    assert {name: divisor for names, divisor in divisions for name in names} == time_outs


def test_the_alarm_on_throttles_covers_every_function(
    alarms: dict[str, Document], template: Document
) -> None:
    functions = {
        metric["Dimensions"][0]["Value"]["Ref"] for metric in watched(alarms["FunctionThrottlesAlarm"])
    }
    assert functions == {
        name
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def test_every_alarm_is_raised_by_its_cause_in_a_test_or_only_on_aws(alarms: dict[str, Document]) -> None:
    _, _, section = (DOCS / "aws.md").read_text().partition("\n## Alarms that only AWS can raise\n")
    only_on_aws = re.findall(r"^\| `(\w+)` \|", section.partition("\n## ")[0], re.M)

    assert sorted([*DRIVEN, *only_on_aws]) == sorted([*alarms, "OnCallAlarm"])


def test_the_on_call_gets_all_critical_alarms_in_one(alarms: dict[str, Document], template: Document) -> None:
    alarm = template["Resources"]["OnCallAlarm"]
    names = re.findall(r"ALARM\(\W*\$\{(\w+)\}", str(alarm["Properties"]["AlarmRule"]))

    assert sorted(names) == sorted(name for name, one in alarms.items() if severity(one) == "CRITICAL")
    assert alarm["Condition"] == "HasOnCall"
