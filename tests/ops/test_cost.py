"""Cost: what a stack used in a period is priced by part, per ticket and per million."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from ops.cost import show_cost
from ops.log_reader import TimeWindow
from ops.report import Report
from ops.stack import DeployedStack
from ops.usage import Metric, read_sums
from tests.helpers.aws_clients import aws_client

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:pipeline"
TEMPLATE = {
    "Parameters": {"Stage": {"Type": "String", "Default": "dev"}},
    "Resources": {
        "FunctionsLogGroup": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "functions"}},
        "TicketPipelineLogGroup": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "machine"}},
        "FailedTicketsQueue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "failed"}},
        "MailTopic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "mail"}},
    },
    "Outputs": {"StateMachineArn": {"Value": MACHINE}},
}


def put(namespace: str, name: str, value: float, *, minutes: float = 10, **dimensions: str) -> None:
    aws_client("cloudwatch").put_metric_data(
        Namespace=namespace,
        MetricData=[
            {
                "MetricName": name,
                "Dimensions": [{"Name": key, "Value": text} for key, text in dimensions.items()],
                "Timestamp": datetime.now(UTC) - timedelta(minutes=minutes),
                "Value": value,
            }
        ],
    )


def count_analysed(tickets: int, *, usd: float) -> None:
    for name, value in (("TicketsProcessed", tickets), ("ModelCost", usd)):
        put("SupportPipeline", name, value, service="support-pipeline", Stage="dev")


@pytest.fixture
def stack(aws: None) -> DeployedStack:
    """A stack with one resource of each kind, except functions and a table."""
    aws_client("cloudformation").create_stack(StackName="pipeline", TemplateBody=json.dumps(TEMPLATE))
    return DeployedStack(
        label="the stack",
        name="pipeline",
        client=boto3.client,  # type: ignore[arg-type]
        outputs={"StateMachineArn": MACHINE},
        parameters={"Stage": "dev"},
    )


def printed(capsys: Any) -> dict[str, list[str]]:
    """The cells of each row by the name of its part, and the other lines by their first word."""
    rows: dict[str, list[str]] = {}
    for line in capsys.readouterr().out.splitlines():
        rows[line[:20].strip()] = line[20:].split()
    return rows


def test_each_part_is_priced_per_ticket_and_per_million(stack: DeployedStack, capsys: Any) -> None:
    count_analysed(2, usd=0.000324)
    put("AWS/ApiGateway", "Count", 1_000_000, ApiName="pipeline", Stage="dev")
    put("AWS/ApiGateway", "Count", 5, ApiName="another", Stage="dev")
    put("AWS/States", "ExecutionsStarted", 2_000_000, StateMachineArn=MACHINE)
    put("AWS/SQS", "NumberOfMessagesSent", 1_000_000, QueueName="failed")
    put("AWS/SNS", "NumberOfMessagesPublished", 1_000_000, TopicName="mail")
    put("AWS/SNS", "NumberOfNotificationsDelivered", 100, TopicName="mail")
    put("AWS/Logs", "IncomingBytes", 2_000_000_000, LogGroupName="machine")

    assert show_cost(stack, Report(), timedelta(hours=1)) == 0

    rows = printed(capsys)
    assert rows["model"][:3] == ["0.000324", "0.0001620", "162.00"]
    assert rows["API"][:2] == ["3.500000", "1.7500000"]
    assert rows["state machine"][0] == "2.000000"
    assert rows["queues"][0] == "0.400000"
    assert rows["topics"][0] == "0.500000"
    assert rows["mail"][0] == "0.002000"
    assert rows["state machine log"][0] == "1.000000"
    assert rows["functions log"][0] == "-"
    assert rows["total"][0] == "7.402324"


def test_without_tickets_there_are_no_figures_for_them(stack: DeployedStack, capsys: Any) -> None:
    assert show_cost(stack, Report(), timedelta(hours=1)) == 0

    rows = printed(capsys)
    assert rows["total"] == ["0.000000", "-", "-"]
    assert " ".join(rows["model"]) == "- - - CloudWatch has no values"


@pytest.mark.parametrize("days", [1, 60])
@pytest.mark.usefixtures("aws")
def test_the_values_of_a_period_are_summed(days: int) -> None:
    now = datetime.now(UTC)
    metric, other = (Metric("AWS/SQS", name, (("QueueName", "q"),)) for name in ("Sent", "Received"))
    for minutes, value in ((30, 1), (90, 2), (days * 1440 + 120, 4)):
        put("AWS/SQS", "Sent", value, minutes=minutes, QueueName="q")

    sums = read_sums(aws_client("cloudwatch"), [metric, other], TimeWindow(now - timedelta(days=days), now))

    assert sums == {metric: 3}
