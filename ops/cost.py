"""Cost: prices what a stack used in a period, by part, at list price. docs/cost.md explains the parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from infra.prices import PRICES
from ops.formatting import count
from ops.log_reader import TimeWindow
from ops.report import Report
from ops.stack import DeployedStack, Resource
from ops.usage import Metric, pipeline_metric, read_sums
from support.domain import metrics

DEFAULT_SINCE = timedelta(days=1)

_MILLION = 1_000_000
_GB = 1_000_000_000
# EXPRESS bills memory in steps of 64 MB, of which an execution needs one.
_EXECUTION_GB = 64 / 1024
_NOT_INCLUDED = (
    "Not included: traces, storage, alarms and custom metrics, the firewall, the guardrail, your own key, "
    "free tiers and discounts."
)


@dataclass(frozen=True, slots=True)
class Usage:
    """A metric of one part of the bill, and the price in USD of one unit of it."""

    part: str
    metric: Metric
    price: float


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the bill; `usd` is None if CloudWatch has no values."""

    name: str
    usd: float | None


def show_cost(stack: DeployedStack, report: Report, since: timedelta) -> int:
    """Show what a stack cost since then; return the exit code 0.

    Raises:
        UsageError: the stack lacks a resource.
        ClientError, BotoCoreError: a call to AWS failed.
    """
    now = datetime.now(UTC)
    window = TimeWindow(now - since, now)
    usages = [*_usages(stack)]
    analysed = pipeline_metric(stack.parameter("Stage"), metrics.TICKETS_PROCESSED.name)
    sums = read_sums(stack.client("cloudwatch"), [analysed, *(usage.metric for usage in usages)], window)
    parts, tickets = [*_parts(usages, sums)], round(sums.get(analysed, 0))
    report.line(
        f"{window.start:%Y-%m-%d %H:%M} to {now:%Y-%m-%d %H:%M} UTC: {count(tickets, 'ticket')} analysed."
    )
    total = Part("total", sum(part.usd or 0 for part in parts))
    report.line(f"{'part':<20}{'USD':>14}{'per ticket':>14}{'per million':>14}")
    for part in [*parts, total]:
        report.line(_row(part, tickets))
    report.line(f"List prices of {PRICES['region']}, {PRICES['date']}. {_NOT_INCLUDED}")
    return 0


def _row(part: Part, tickets: int) -> str:
    if part.usd is None:
        return f"{part.name:<20}{'-':>14}{'-':>14}{'-':>14}  CloudWatch has no values"
    each = part.usd / tickets if tickets else None
    per_ticket = "-" if each is None else f"{each:.7f}"
    per_million = "-" if each is None else f"{each * _MILLION:.2f}"
    return f"{part.name:<20}{part.usd:>14.6f}{per_ticket:>14}{per_million:>14}"


def _parts(usages: Iterable[Usage], sums: dict[Metric, float]) -> Iterator[Part]:
    """One part for each name, in the order of the usages."""
    costs: dict[str, list[float]] = {}
    for usage in usages:
        measured = costs.setdefault(usage.part, [])
        if usage.metric in sums:
            measured.append(sums[usage.metric] * usage.price)
    for name, measured in costs.items():
        yield Part(name, sum(measured) if measured else None)


def _usages(stack: DeployedStack) -> Iterator[Usage]:
    """Everything that is billed by use and measured."""
    stage, resources = stack.parameter("Stage"), [*stack.resources()]
    # In USD.
    yield Usage("model", pipeline_metric(stage, metrics.MODEL_COST.name), 1)
    api = (("ApiName", stack.name), ("Stage", stage))
    yield Usage("API", Metric("AWS/ApiGateway", "Count", api), PRICES["api"]["request"])
    yield from _executions(stack.output("StateMachineArn"))
    by_type: dict[str, Callable[[DeployedStack, Resource], Iterator[Usage]]] = {
        "AWS::Lambda::Function": _function,
        "AWS::DynamoDB::Table": _table,
        "AWS::SQS::Queue": _queue,
        "AWS::SNS::Topic": _topic,
        "AWS::Logs::LogGroup": _log_group,
    }
    for kind, usages in by_type.items():
        for resource in resources:
            if resource.type == kind:
                yield from usages(stack, resource)


def _executions(arn: str) -> Iterator[Usage]:
    prices, machine = PRICES["state_machine"], (("StateMachineArn", arn),)
    yield Usage(
        "state machine", Metric("AWS/States", "ExecutionsStarted", machine), prices["express_execution"]
    )
    milliseconds = Metric("AWS/States", "ExpressExecutionBilledDuration", machine)
    yield Usage("state machine", milliseconds, _EXECUTION_GB / 1000 * prices["express_gb_second"])


def _function(stack: DeployedStack, resource: Resource) -> Iterator[Usage]:
    name = resource.physical_id
    memory = stack.client("lambda").get_function_configuration(FunctionName=name)["MemorySize"]
    dimensions = (("FunctionName", name),)
    yield Usage("functions", Metric("AWS/Lambda", "Invocations", dimensions), PRICES["lambda"]["request"])
    per_millisecond = memory / 1024 / 1000 * PRICES["lambda"]["gb_second"]
    yield Usage("functions", Metric("AWS/Lambda", "Duration", dimensions), per_millisecond)


def _table(stack: DeployedStack, resource: Resource) -> Iterator[Usage]:
    name = resource.physical_id
    table = stack.client("dynamodb").describe_table(TableName=name)["Table"]
    indexes = [(("GlobalSecondaryIndexName", one["IndexName"]),) for one in table["GlobalSecondaryIndexes"]]
    for index in [(), *indexes]:
        dimensions = (("TableName", name), *index)
        for kind in ("Write", "Read"):
            metric = Metric("AWS/DynamoDB", f"Consumed{kind}CapacityUnits", dimensions)
            yield Usage("table", metric, PRICES["dynamodb"][f"{kind.lower()}_unit"])


def _queue(_stack: DeployedStack, resource: Resource) -> Iterator[Usage]:
    dimensions = (("QueueName", resource.physical_id.rpartition("/")[2]),)
    for name in (
        *("NumberOfMessagesSent", "NumberOfMessagesReceived", "NumberOfMessagesDeleted"),
        "NumberOfEmptyReceives",
    ):
        yield Usage("queues", Metric("AWS/SQS", name, dimensions), PRICES["sqs"]["request"])


def _topic(_stack: DeployedStack, resource: Resource) -> Iterator[Usage]:
    dimensions = (("TopicName", resource.physical_id.rpartition(":")[2]),)
    yield Usage(
        "topics", Metric("AWS/SNS", "NumberOfMessagesPublished", dimensions), PRICES["sns"]["publish"]
    )
    if resource.logical_id == "MailTopic":
        delivered = Metric("AWS/SNS", "NumberOfNotificationsDelivered", dimensions)
        yield Usage("mail", delivered, PRICES["sns"]["email"])


def _log_group(_stack: DeployedStack, resource: Resource) -> Iterator[Usage]:
    names = {
        "TicketPipelineLogGroup": "state machine log",
        "FunctionsLogGroup": "functions log",
        "ApiAccessLogGroup": "access log",
    }
    metric = Metric("AWS/Logs", "IncomingBytes", (("LogGroupName", resource.physical_id),))
    yield Usage(names.get(resource.logical_id, "other logs"), metric, PRICES["logs"]["gb"] / _GB)
