"""Checks that somebody is notified of problems, and that logs and metrics exist to diagnose them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ops.formatting import count
from ops.queue import Queue
from ops.verify.check_result import DEPLOY_ADVICE, CheckResult, failed, ok, ok_unless, warning
from ops.verify.context import CheckContext

_MAIL_GUIDE = "see docs/configuration.md, Who gets mail."
# Alarms that may be on although nothing is wrong: the first three some minutes after another run of the
# check, which made an execution fail, and the last for up to an hour after somebody confirmed a subscription.
_EXPECTED_ALARMS = (
    "TicketsFailedAlarm",
    "FailedTicketsWaitingAlarm",
    "FailureRateAlarm",
    "MailSubscriptionLostAlarm",
)


def alarm_actions(context: CheckContext) -> CheckResult:
    """Every alarm of the stack notifies the alarm topic."""
    topic = context.physical_id("AlarmTopic")
    alarms = {alarm["AlarmName"]: alarm for alarm in _alarms(context)}
    names = context.physical_ids("AWS::CloudWatch::Alarm")
    problems = [f"{name} is missing" for name in names if name not in alarms]
    for name, alarm in alarms.items():
        if topic not in alarm["AlarmActions"] or not alarm["ActionsEnabled"]:
            problems.append(f"{name} notifies nobody")
    if not alarms:
        problems.append("the stack has no alarms")
    return ok_unless(
        problems, f"{count(len(alarms), 'alarm')}, each notifies the alarm topic.", DEPLOY_ADVICE
    )


def alarm_states(context: CheckContext) -> CheckResult:
    """No alarm is on before the check makes an execution fail."""
    alarms_on = {alarm["AlarmName"]: alarm for alarm in _alarms(context) if alarm["StateValue"] == "ALARM"}
    if not alarms_on:
        return ok("No alarm is on.")
    expected = {one.physical_id for one in context.resources if one.logical_id in _EXPECTED_ALARMS}
    descriptions = (f"{name} is on: {alarm.get('AlarmDescription', '')}" for name, alarm in alarms_on.items())
    result = warning if alarms_on.keys() <= expected else failed
    return result("; ".join(descriptions), "See docs/runbook.md, The alarms.")


def _alarms(context: CheckContext) -> list[Mapping[str, Any]]:
    names = context.physical_ids("AWS::CloudWatch::Alarm")
    if not names:
        return []
    pages = context.stack.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNames=names)
    return [alarm for page in pages for alarm in page["MetricAlarms"]]


def alarm_recipients(context: CheckContext) -> CheckResult:
    """Somebody receives the alarms."""
    return _recipients(context, "AlarmTopic", "AlarmEmail", "the alarms")


def mail_recipients(context: CheckContext) -> CheckResult:
    """Somebody receives the mail about tickets."""
    return _recipients(context, "MailTopic", "NotificationEmail", "the mail about tickets")


def _recipients(context: CheckContext, topic: str, parameter: str, what: str) -> CheckResult:
    confirmed = [
        subscription
        for subscription in _subscriptions(context, topic)
        if subscription["SubscriptionArn"].startswith("arn:")
    ]
    has_mail_address = any(subscription["Protocol"].startswith("email") for subscription in confirmed)
    if context.stack.parameters.get(parameter) == "ssm" and not has_mail_address:
        return warning(
            f"{parameter} is on, but no mail address is confirmed: nobody gets {what}.",
            f"Click the link in the mail from SNS; if there is none, {_MAIL_GUIDE}",
        )
    if not confirmed:
        return warning(f"Nobody gets {what}.", f"Set {parameter}=ssm: {_MAIL_GUIDE}")
    return ok(f"{count(len(confirmed), 'confirmed subscription')} to {what}.")


def queue_subscriptions(context: CheckContext) -> CheckResult:
    """The topics deliver to the stack's own queues."""
    problems = [
        *_delivery_problems(context, "SupportTopic", "ImmediateMailQueue", {"mail": ["immediate"]}),
        *_delivery_problems(context, "SupportTopic", "DigestQueue", {"mail": ["digest", {"exists": False}]}),
        *_delivery_problems(context, "FailureTopic", "FailedTicketsQueue", {}),
    ]
    return ok_unless(
        problems, "The topics deliver to the queues of mail and of failed tickets.", DEPLOY_ADVICE
    )


def _delivery_problems(
    context: CheckContext, topic: str, queue: str, filter_policy: Mapping[str, Any]
) -> list[str]:
    queue_name = context.physical_id(queue).rpartition("/")[2]
    found = [one for one in _subscriptions(context, topic) if one["Endpoint"].endswith(f":{queue_name}")]
    if not found:
        return [f"{topic} does not deliver to {queue}"]
    attributes = context.stack.client("sns").get_subscription_attributes(
        SubscriptionArn=found[0]["SubscriptionArn"]
    )["Attributes"]
    problems = []
    if json.loads(attributes.get("FilterPolicy") or "{}") != filter_policy:
        problems.append(f"{topic} delivers to {queue} with another filter than the template's")
    if attributes.get("RawMessageDelivery") != "true":
        problems.append(f"{topic} delivers to {queue} without raw message delivery")
    return problems


def mail_sent(context: CheckContext) -> CheckResult:
    """The mail function has received all urgent tickets, and no notification was undeliverable."""
    sqs = context.stack.client("sqs")
    if undelivered := Queue(sqs, context.physical_id("UndeliveredMailQueue")).size():
        return failed(
            f"SNS could not deliver {count(undelivered, 'notification')} to the mail queues.",
            "See docs/runbook.md, Mail stopped.",
        )
    urgent = Queue(sqs, context.physical_id("ImmediateMailQueue"))
    if not context.deadline.wait_for(lambda: not urgent.size()):
        return warning(
            f"{count(urgent.size(), 'urgent ticket')} not mailed yet.",
            "Mail waits until the subscription is confirmed; otherwise see docs/runbook.md, Mail stopped.",
        )
    return ok("The mail function has received all urgent tickets; the others wait for the digest.")


def _subscriptions(context: CheckContext, topic: str) -> Iterator[Mapping[str, Any]]:
    pages = context.stack.client("sns").get_paginator("list_subscriptions_by_topic")
    for page in pages.paginate(TopicArn=context.physical_id(topic)):
        yield from page["Subscriptions"]


def log_groups(context: CheckContext) -> CheckResult:
    """Every log group of the stack has a retention."""
    logs = context.stack.client("logs")
    names = context.physical_ids("AWS::Logs::LogGroup")
    problems = []
    for name in names:
        groups = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        found = next((group for group in groups if group["logGroupName"] == name), None)
        if found is None:
            problems.append(f"{name} is missing")
        elif not found.get("retentionInDays"):
            problems.append(f"{name} never expires")
    advice = "Set the retention in CloudWatch Logs, or deploy with another LogRetentionDays and back."
    return ok_unless(problems, f"{count(len(names), 'log group')}, each with a retention.", advice)


def metrics(context: CheckContext) -> CheckResult:
    """The state machine's metrics include executions that its alias started, because the alarms use them."""
    missing = [name for name in ("ExecutionsSucceeded", "ExecutionsFailed") if not _has_data(context, name)]
    if missing:
        return warning(
            f"CloudWatch does not show {' and '.join(missing)} of the state machine yet.",
            "Look again in some minutes. Without them the alarms on executions use the wrong dimension.",
        )
    return ok("The metrics that the alarms use include executions that the alias started.")


def _has_data(context: CheckContext, metric: str) -> bool:
    cloudwatch = context.stack.client("cloudwatch")

    def has_data() -> bool:
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/States",
            MetricName=metric,
            Dimensions=[{"Name": "StateMachineArn", "Value": context.stack.output("StateMachineArn")}],
            StartTime=context.started_at - timedelta(minutes=1),
            EndTime=datetime.now(UTC) + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return any(point["Sum"] for point in points)

    return context.deadline.wait_for(has_data)


def alarm_raised(context: CheckContext) -> CheckResult:
    """The execution that failed on purpose raises the alarm on failed executions."""
    name = context.physical_id("TicketsFailedAlarm")

    def is_on() -> bool:
        return any(
            alarm["AlarmName"] == name and alarm["StateValue"] == "ALARM" for alarm in _alarms(context)
        )

    if context.deadline.wait_for(is_on):
        return ok("The alarm on failed executions was raised as expected. It returns to OK by itself.")
    return warning(
        "The alarm on failed executions is not on yet; it is evaluated once a minute.",
        "Look at its history in CloudWatch in some minutes.",
    )
