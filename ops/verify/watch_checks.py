"""Does somebody hear of trouble, and is there something to read afterwards?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ops.queue import Queue
from ops.report import count
from ops.verify.finding import Finding, failed, judged, ok, warning
from ops.verify.site import Site

_DEPLOY = "Deploy again (make deploy)."
_WHO_GETS_MAIL = "see docs/configuration.md, Who gets mail."
# The first two within minutes of another run, which made its own failure; the last for up to an hour after
# somebody has confirmed.
_MAY_BE_ON = ("TicketsFailedAlarm", "FailedTicketsWaitingAlarm", "MailSubscriptionLostAlarm")


def alarm_actions(site: Site) -> Finding:
    """Every alarm of the stack tells the alarm topic."""
    topic = site.id_of("AlarmTopic")
    found = {alarm["AlarmName"]: alarm for alarm in _alarms(site)}
    problems = [f"{name} is missing" for name in site.ids("AWS::CloudWatch::Alarm") if name not in found]
    for name, alarm in found.items():
        if topic not in alarm["AlarmActions"] or not alarm["ActionsEnabled"]:
            problems.append(f"{name} tells nobody")
    if not found:
        problems.append("the stack has no alarms")
    return judged(problems, f"{count(len(found), 'alarm')}, each tells the alarm topic.", _DEPLOY)


def alarm_states(site: Site) -> Finding:
    """No alarm is on before the check makes its own failure."""
    on = {alarm["AlarmName"]: alarm for alarm in _alarms(site) if alarm["StateValue"] == "ALARM"}
    if not on:
        return ok("None is on.")
    expected = {one.physical_id for one in site.resources if one.logical_id in _MAY_BE_ON}
    text = "; ".join(f"{name} is on: {alarm.get('AlarmDescription', '')}" for name, alarm in on.items())
    return (warning if on.keys() <= expected else failed)(text, "See docs/runbook.md, The alarms.")


def _alarms(site: Site) -> list[Mapping[str, Any]]:
    names = site.ids("AWS::CloudWatch::Alarm")
    if not names:
        return []
    pages = site.stack.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNames=names)
    return [alarm for page in pages for alarm in page["MetricAlarms"]]


def alarm_mail(site: Site) -> Finding:
    """Somebody gets the alarms."""
    return _listeners(site, "AlarmTopic", "AlarmEmail", "the alarms")


def ticket_mail(site: Site) -> Finding:
    """Somebody gets the mail about tickets."""
    return _listeners(site, "MailTopic", "NotificationEmail", "the mail about tickets")


def _listeners(site: Site, topic: str, parameter: str, what: str) -> Finding:
    subscriptions = list(_subscriptions(site, topic))
    confirmed = [one for one in subscriptions if one["SubscriptionArn"].startswith("arn:")]
    by_mail = [one for one in confirmed if one["Protocol"].startswith("email")]
    if site.stack.parameters.get(parameter) == "ssm" and not by_mail:
        return warning(
            f"{parameter} is on, but no e-mail address has confirmed: nobody gets {what}.",
            "Click the link in the mail from SNS; if there is none, " + _WHO_GETS_MAIL,
        )
    if not confirmed:
        return warning(f"Nobody gets {what}.", f"Set {parameter}=ssm: {_WHO_GETS_MAIL}")
    return ok(f"{count(len(confirmed), 'confirmed subscription')} to {what}.")


def queues_subscribed(site: Site) -> Finding:
    """What the topics deliver to the stack's own queues."""
    problems = []
    for topic, queue, labels in (
        ("SupportTopic", "ImmediateMailQueue", ["immediate"]),
        ("SupportTopic", "DigestQueue", ["digest", {"exists": False}]),
        ("FailureTopic", "FailedTicketsQueue", None),
    ):
        name = site.id_of(queue).rpartition("/")[2]
        found = [one for one in _subscriptions(site, topic) if one["Endpoint"].endswith(f":{name}")]
        if not found:
            problems.append(f"{topic} does not deliver to {queue}")
            continue
        attributes = site.stack.client("sns").get_subscription_attributes(
            SubscriptionArn=found[0]["SubscriptionArn"]
        )["Attributes"]
        policy = json.loads(attributes.get("FilterPolicy") or "{}")
        if policy != ({"mail": labels} if labels else {}):
            problems.append(f"{topic} delivers to {queue} by another filter than the template's")
        if attributes.get("RawMessageDelivery") != "true":
            problems.append(f"{topic} delivers to {queue} in an envelope")
    return judged(problems, "The topics deliver to the queues of mail and of failed tickets.", _DEPLOY)


def mail_sent(site: Site) -> Finding:
    """The mail function takes what cannot wait, and nothing was undeliverable."""
    sqs = site.stack.client("sqs")
    if undelivered := Queue(sqs, site.id_of("UndeliveredMailQueue")).waiting():
        return failed(
            f"SNS could not put {count(undelivered, 'announcement')} into the queues of the mails.",
            "See docs/runbook.md, Mail stopped.",
        )
    urgent = Queue(sqs, site.id_of("ImmediateMailQueue"))
    if not site.patience.wait_for(lambda: not urgent.waiting()):
        return warning(
            f"{count(urgent.waiting(), 'urgent ticket')} still to be mailed.",
            "Until somebody confirms the subscription, mail waits; else see docs/runbook.md, Mail stopped.",
        )
    return ok("The mail function has taken all urgent tickets; the digest has the others.")


def _subscriptions(site: Site, topic: str) -> Iterator[Mapping[str, Any]]:
    pages = site.stack.client("sns").get_paginator("list_subscriptions_by_topic")
    for page in pages.paginate(TopicArn=site.id_of(topic)):
        yield from page["Subscriptions"]


def log_groups(site: Site) -> Finding:
    """Every log group of the stack forgets some day."""
    logs = site.stack.client("logs")
    problems = []
    names = site.ids("AWS::Logs::LogGroup")
    for name in names:
        groups = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        found = next((group for group in groups if group["logGroupName"] == name), None)
        if found is None:
            problems.append(f"{name} is missing")
        elif not found.get("retentionInDays"):
            problems.append(f"{name} is kept for ever")
    advice = "Set the retention in CloudWatch Logs, or deploy with another LogRetentionDays and back."
    return judged(problems, f"{count(len(names), 'log group')}, each with a retention.", advice)


def metrics(site: Site) -> Finding:
    """Executions that the alias started count as the state machine's, which the alarms watch."""
    missing = [name for name in ("ExecutionsSucceeded", "ExecutionsFailed") if not _counted(site, name)]
    if missing:
        return warning(
            f"CloudWatch does not show {' and '.join(missing)} of the state machine yet.",
            "Look again in some minutes: without them the alarms on executions watch the wrong dimension.",
        )
    return ok("Executions that the alias started are counted where the alarms watch.")


def _counted(site: Site, metric: str) -> bool:
    cloudwatch = site.stack.client("cloudwatch")

    def seen() -> bool:
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/States",
            MetricName=metric,
            Dimensions=[{"Name": "StateMachineArn", "Value": site.stack.output("StateMachineArn")}],
            StartTime=site.began - timedelta(minutes=1),
            EndTime=datetime.now(UTC) + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return any(point["Sum"] for point in points)

    return site.patience.wait_for(seen)


def alarm_raised(site: Site) -> Finding:
    """The failure that was made on purpose raises its alarm."""
    name = site.id_of("TicketsFailedAlarm")

    def on() -> bool:
        return any(a["AlarmName"] == name and a["StateValue"] == "ALARM" for a in _alarms(site))

    if site.patience.wait_for(on):
        return ok("The alarm on failed executions was raised, as it had to be. It returns to OK by itself.")
    return warning(
        "The alarm on failed executions is not on yet; it looks once a minute.",
        "Look at its history in CloudWatch in some minutes.",
    )
