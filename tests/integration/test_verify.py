"""The first-deployment check: passes on a correct stack, finds defects, and leaves nothing behind."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from local.processes import wait_for
from ops.stack import DeployedStack, local_stack
from ops.verify import api_checks, failure_checks, monitoring_checks, release_checks, ticket_checks
from ops.verify.check_result import CheckResult, CheckStatus
from ops.verify.context import CheckContext, Deadline, SubmittedTicket
from tests.helpers.running_stack import PROJECT, RunningStack

ALARMS = "alarms' states"  # earlier tests raise some


def temporary(stack: RunningStack) -> list[str]:
    """The temporary queues, subscriptions and users of the check."""
    aws = stack.stack
    queues = aws.client("sqs").list_queues().get("QueueUrls", [])
    subscriptions = aws.client("sns").list_subscriptions_by_topic(TopicArn=aws.support_topic_arn)
    endpoints = [one["Endpoint"] for one in subscriptions["Subscriptions"]]
    users = aws.client("cognito-idp").list_users(UserPoolId=aws.user_pool_id)["Users"]
    mails = [a["Value"] for user in users for a in user["Attributes"] if a["Name"] == "email"]
    names = [user["Username"] for user in users]
    return [name for name in [*queues, *endpoints, *mails, *names] if "verify-" in name]


def rows(output: str) -> dict[str, str]:
    """The result of each check."""
    lines = output.partition("\ncheck ")[2].splitlines()[1:]
    width = max(line.find("  ok ") for line in lines) + 2
    return {line[:width].strip(): line[width:].split()[0] for line in lines if line[width - 1 : width] == " "}


def test_it_passes_on_a_correct_stack_and_leaves_nothing_behind(stack: RunningStack) -> None:
    done = stack.command("ops", "verify", DEADLINE="60")

    results = rows(done.stdout)
    assert {name for name, result in results.items() if result == "failed"} <= {ALARMS}, done.stdout
    assert done.returncode == (results[ALARMS] == "failed")
    assert len(results) > 30
    assert {name for name, result in results.items() if result == "warning"} <= {ALARMS, "who gets alarms"}
    assert done.stdout.startswith(
        f"Acting on the local stack at {stack.stack.web_url}.\nChecking support-pipeline-local: "
    )
    assert stack.token() not in done.stdout
    assert done.stderr == ""
    assert temporary(stack) == []
    assert stack.failures() == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_check_removes_its_temporary_resources(
    stack: RunningStack, how: signal.Signals
) -> None:
    command = [sys.executable, "-m", "ops", "verify"]
    with subprocess.Popen(
        command, cwd=PROJECT, env=stack.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            # The temporary resources exist, and most checks have not run yet.
            if line.startswith("no credentials"):
                break
        assert temporary(stack)
        process.send_signal(how)
        rest, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert errors.startswith("Stopped.")
    assert "Everything temporary is removed." in rest
    assert temporary(stack) == []
    assert wait_for(lambda: len(failed_on_purpose(stack)) == 0, 10)


def failed_on_purpose(stack: RunningStack) -> list[Any]:
    return [message for message in stack.failures() if message["error"] == "InvalidTicket"]


@pytest.fixture
def deployed(stack: RunningStack) -> DeployedStack:
    return local_stack(stack.environment)


@pytest.fixture
def context(deployed: DeployedStack) -> Iterator[CheckContext]:
    context = CheckContext.from_stack(deployed, "test", Deadline(0))
    yield context
    assert context.cleanup.run() == []
    context.api.close()


@contextmanager
def second_stage(context: CheckContext) -> Iterator[None]:
    client, api = context.stack.client("apigateway"), context.stack.output("ApiId")
    deployment = client.get_stage(restApiId=api, stageName=context.physical_id("ApiStage"))["deploymentId"]
    client.create_stage(restApiId=api, stageName="Stage", deploymentId=deployment)
    yield
    client.delete_stage(restApiId=api, stageName="Stage")


@contextmanager
def method_without_authorization(context: CheckContext) -> Iterator[None]:
    client, api = context.stack.client("apigateway"), context.stack.output("ApiId")
    (resource,) = [r["id"] for r in client.get_resources(restApiId=api)["items"] if r["path"] == "/tickets"]
    method = {"restApiId": api, "resourceId": resource, "httpMethod": "GET"}
    change = {"op": "replace", "path": "/authorizationType"}
    client.update_method(**method, patchOperations=[change | {"value": "NONE"}])
    yield
    client.update_method(**method, patchOperations=[change | {"value": "COGNITO_USER_POOLS"}])


@contextmanager
def stage_without_limits(context: CheckContext) -> Iterator[None]:
    client = context.stack.client("apigateway")
    stage = {"restApiId": context.stack.output("ApiId"), "stageName": context.physical_id("ApiStage")}
    before = client.get_stage(**stage)["methodSettings"]["*/*"]["throttlingRateLimit"]
    change = {"op": "replace", "path": "/*/*/throttling/rateLimit"}
    client.update_stage(**stage, patchOperations=[change | {"value": "10000"}])
    yield
    client.update_stage(**stage, patchOperations=[change | {"value": str(before)}])


@contextmanager
def alias_that_points_to_latest(context: CheckContext) -> Iterator[None]:
    client = context.stack.client("lambda")
    alias = {"FunctionName": context.physical_id("SweepFunction"), "Name": "live"}
    before = client.get_alias(**alias)["FunctionVersion"]
    client.update_alias(**alias, FunctionVersion="$LATEST")
    yield
    client.update_alias(**alias, FunctionVersion=before)


@contextmanager
def disabled_trigger(context: CheckContext) -> Iterator[None]:
    client, mapping = context.stack.client("lambda"), context.physical_id("ResumeFunctionWaitingRoomQueue")
    client.update_event_source_mapping(UUID=mapping, Enabled=False)
    yield
    client.update_event_source_mapping(UUID=mapping, Enabled=True)


@contextmanager
def alarm_without_actions(context: CheckContext) -> Iterator[None]:
    client, name = context.stack.client("cloudwatch"), context.physical_id("SweepErrorsAlarm")
    client.disable_alarm_actions(AlarmNames=[name])
    yield
    client.enable_alarm_actions(AlarmNames=[name])


@contextmanager
def log_group_without_retention(context: CheckContext) -> Iterator[None]:
    client, group = context.stack.client("logs"), context.physical_id("FunctionsLogGroup")
    client.delete_retention_policy(logGroupName=group)
    yield
    client.put_retention_policy(logGroupName=group, retentionInDays=30)


@contextmanager
def failure_topic_without_a_queue(context: CheckContext) -> Iterator[None]:
    client = context.stack.client("sns")
    (before,) = client.list_subscriptions_by_topic(TopicArn=context.physical_id("FailureTopic"))[
        "Subscriptions"
    ]
    client.unsubscribe(SubscriptionArn=before["SubscriptionArn"])
    yield
    client.subscribe(
        **{name: before[name] for name in ("TopicArn", "Protocol", "Endpoint")},
        Attributes={"RawMessageDelivery": "true"},
    )


BROKEN: list[
    tuple[Callable[[CheckContext], AbstractContextManager[None]], Callable[[CheckContext], CheckResult], str]
] = [
    (second_stage, api_checks.one_stage, "the stages Stage, local"),
    (method_without_authorization, api_checks.methods, "GET /tickets requires NONE instead of COGNITO"),
    (stage_without_limits, api_checks.limits, "throttlingRateLimit 10000.0 instead of RequestRateLimit 100"),
    (alias_that_points_to_latest, release_checks.aliases, "points to $LATEST"),
    (disabled_trigger, release_checks.callers, "Queue"),
    (alarm_without_actions, monitoring_checks.alarm_actions, "notifies nobody"),
    (
        log_group_without_retention,
        monitoring_checks.log_groups,
        "/aws/lambda/support-pipeline-local never expires",
    ),
    (
        failure_topic_without_a_queue,
        monitoring_checks.queue_subscriptions,
        "does not deliver to FailedTicketsQueue",
    ),
]


@pytest.mark.parametrize(("broken", "check", "said"), BROKEN, ids=[one[0].__name__ for one in BROKEN])
def test_it_finds_a_defect(
    context: CheckContext,
    broken: Callable[[CheckContext], AbstractContextManager[None]],
    check: Callable[[CheckContext], CheckResult],
    said: str,
) -> None:
    assert check(context).status is CheckStatus.OK
    with broken(context):
        result = check(context)
    assert result.status is CheckStatus.FAILED
    assert said in result.text
    assert result.advice
    assert check(context).status is CheckStatus.OK


def test_it_finds_failed_tickets(stack: RunningStack, context: CheckContext) -> None:
    stack.fail_model(deny=1.0)
    ticket_checks.customer(context)
    context.deadline = Deadline(30)
    ticket_checks.hostile_text(context)

    result = ticket_checks.read_back(context)

    assert (result.status, "is FAILED: ModelRejected" in result.text) == (CheckStatus.FAILED, True)
    assert wait_for(lambda: failure_checks.queue_clean(context).status is CheckStatus.FAILED, 30)


def test_it_finds_missing_notifications(context: CheckContext) -> None:
    ticket_checks.notification_queue(context)
    context.tickets.append(SubmittedTicket("never-notified", {}))

    result = ticket_checks.notifications(context)

    assert result.status is CheckStatus.FAILED
    assert result.text == "No notification for never-notified."
