"""Alarms on a running stack: each goes off for its real cause, and is over when the cause is.

A minute of the alarms lasts half a second, or less. docs/aws.md says why some alarms cannot be driven here.
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import Event
from typing import Any

import psutil
import pytest

from local.processes import running_processes, wait_for
from tests.helpers.running_stack import PROJECT, RunningStack

# The alarms by cause.
REJECTING_MODEL = {
    "TicketsFailedAlarm", "FailedTicketsWaitingAlarm", "FailureRateAlarm", "ModelErrorRateAlarm",
}  # fmt: skip
NOBODY_FOR_A_DAY = {"FailedTicketOldAlarm", "ModelBudgetAlarm"}
THROTTLED_MODEL = {"FallbackRejectedAlarm", "TicketsWaitAlarm"}
SLOW_MODEL = {"ModelLatencyAlarm", "ExecutionsTimedOutAlarm"}
VANISHED_EXECUTIONS = {"TicketsStuckAlarm", "ResumeErrorsAlarm"}
MISSING_RIGHTS = {"FunctionErrorRateAlarm", "SweepErrorsAlarm"}
THROTTLED_API = {"ApiFaultsAlarm", "FunctionThrottlesAlarm"}
STALLED_FUNCTIONS = {"ApiLatencyAlarm", "FunctionDurationAlarm"}
LOST_SUBSCRIPTION = {"MailErrorsAlarm", "MailLateAlarm", "DigestErrorsAlarm", "MailSubscriptionLostAlarm"}
NOBODY_FOR_HOURS = {"DigestLateAlarm", "NeedsReviewRateAlarm"}
CLOSED_QUEUE = {"UndeliveredMailAlarm"}
DRIVEN = {
    *REJECTING_MODEL, *NOBODY_FOR_A_DAY, *THROTTLED_MODEL, *SLOW_MODEL, *VANISHED_EXECUTIONS,
    *MISSING_RIGHTS, *THROTTLED_API, *STALLED_FUNCTIONS, *LOST_SUBSCRIPTION, *NOBODY_FOR_HOURS, *CLOSED_QUEUE,
}  # fmt: skip

TICKET = {"content": "I was charged twice this month. Please refund one payment."}
UNCERTAIN = {"content": "It is broken."}
URGENT = {"content": "URGENT: production is down for all our users since an hour. We are losing data!"}

# Seconds to wait, on a machine that is busy with other tests.
DEADLINE = 120
# Seconds that a minute of the alarms lasts. With FAST, an hour lasts 3 seconds; with FASTER, a day lasts 7.
NORMAL, FAST, FASTER = 0.5, 0.05, 0.005
# An alarm on the model's latency goes off after five seconds; the client waits seven.
SLOW_SECONDS = 6
# An alarm on durations goes off after four seconds; the functions time out after five.
STALL_SECONDS = 4.4


class Alarms:
    """The alarms of a stack, and the queue that receives what they send."""

    def __init__(self, stack: RunningStack) -> None:
        self._stack = stack
        self._cloudwatch = stack.stack.client("cloudwatch")
        resources = stack.stack.client("cloudformation").describe_stack_resources(
            StackName=stack.stack.stack_name
        )["StackResources"]
        self._names = {
            resource["PhysicalResourceId"]: resource["LogicalResourceId"] for resource in resources
        }
        self._inbox = self._subscribe()

    def _subscribe(self) -> str:
        sqs, sns = self._stack.stack.client("sqs"), self._stack.stack.client("sns")
        url: str = sqs.create_queue(QueueName="alarms")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topic = self._stack.stack.physical_id("AlarmTopic")
        allowed = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
        return url

    def on(self) -> set[str]:
        """The alarms that are on."""
        alarms = self._cloudwatch.describe_alarms(StateValue="ALARM")["MetricAlarms"]
        return {self._names[alarm["AlarmName"]] for alarm in alarms}

    def are_off(self, names: set[str]) -> None:
        """Wait until none of these alarms is on, and forget what they have sent."""
        assert wait_for(lambda: not self.on() & names, DEADLINE, 0.2), self.on() & names
        self._stack.messages(self._inbox)

    def go_off(self, names: set[str], cause: Callable[[], object] = bool, *, every: float = 0.2) -> None:
        """Repeat the cause until each of these alarms has gone off."""
        seen: set[str] = set()

        def all_went_off() -> bool:
            cause()
            seen.update(self.on())
            return seen >= names

        assert wait_for(all_went_off, DEADLINE, every), names - seen

    def are_over(
        self, names: set[str], meanwhile: Callable[[], object] = bool, *, minute: float = FAST
    ) -> None:
        """Wait until these alarms, whose cause has ended, are over; each has sent both messages."""

        def is_over() -> bool:
            meanwhile()
            return not self.on() & names

        with self.minute(minute):
            assert wait_for(is_over, DEADLINE, 0.2), self.on() & names
        bodies = [json.loads(message["Body"]) for message in self._stack.messages(self._inbox)]
        sent = {(self._names[body["AlarmName"]], body["NewStateValue"]) for body in bodies}
        assert sent >= {(name, state) for name in names for state in ("ALARM", "OK")}

    @contextmanager
    def minute(self, seconds: float) -> Iterator[None]:
        """A minute lasts so many seconds until the block ends."""
        self._stack.set_alarm_minute(seconds)
        try:
            yield
        finally:
            self._stack.set_alarm_minute(NORMAL)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack with all alarms, a second model and a team that gets mail."""
    settings = {"ALARM_MINUTE": str(NORMAL), "MODEL_SLOW_SECONDS": str(SLOW_SECONDS)}
    with RunningStack(tmp_path_factory.mktemp("watched") / "local", settings) as stack:
        stack.wait_until_healthy()
        stack.stack.client("ssm").put_parameter(
            Name="/support-pipeline/local/notification-email", Value="team@example.com", Type="String"
        )
        stack.deploy(
            NotificationEmail="ssm", FallbackModelId="amazon.nova-micro-v1:0", DailyModelBudgetUsd="0.0001"
        )
        yield stack


@pytest.fixture(scope="module")
def alarms(watched: RunningStack) -> Alarms:
    # Messages that a function could not process come back soon.
    sqs = watched.stack.client("sqs")
    for queue in ("WaitingRoomQueue", "ImmediateMailQueue", "DigestQueue"):
        url = watched.stack.physical_id(queue)
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "5"})
    return Alarms(watched)


@pytest.fixture(autouse=True)
def idle(watched: RunningStack) -> Iterator[None]:
    """No ticket is left from the test before."""
    yield
    watched.fail_model()
    assert wait_for(watched.is_idle, DEADLINE)
    watched.failures()


def invoke(stack: RunningStack, function: str) -> Any:
    return json.loads(stack.stack.invoke(function, b"{}")["Payload"].read())


def test_a_model_that_rejects_calls(watched: RunningStack, alarms: Alarms) -> None:
    alarms.are_off(REJECTING_MODEL)
    watched.fail_model(deny=1.0)
    alarms.go_off(REJECTING_MODEL, lambda: watched.submit(TICKET))

    watched.fail_model()
    assert wait_for(watched.is_idle, DEADLINE)
    watched.failures()
    alarms.are_over(REJECTING_MODEL)


def test_a_failed_ticket_and_a_cost_about_which_nobody_does_anything_for_a_day(
    watched: RunningStack, alarms: Alarms
) -> None:
    with alarms.minute(FASTER):
        alarms.are_off(NOBODY_FOR_A_DAY)
        watched.fail_model(next={"deny": 1})
        watched.submit(TICKET)
        alarms.go_off(NOBODY_FOR_A_DAY, lambda: watched.submit(TICKET), every=1)
    watched.failures()
    alarms.are_over(NOBODY_FOR_A_DAY, minute=FASTER)


def test_a_throttled_model_and_a_second_one_that_rejects_calls(watched: RunningStack, alarms: Alarms) -> None:
    alarms.are_off(THROTTLED_MODEL)
    # A ticket asks the first model three times, then the second one.
    watched.fail_model(next={"throttle": 3, "deny": 1}, throttle=1.0)
    ticket_id = watched.submit(TICKET)
    alarms.go_off({"FallbackRejectedAlarm"})

    def sweep_after_two_hours() -> None:
        watched.backdate(ticket_id, timedelta(hours=2), "waitingSince")
        invoke(watched, "sweep")

    assert wait_for(lambda: "waitingSince" in read(watched, ticket_id), DEADLINE)
    alarms.go_off({"TicketsWaitAlarm"}, sweep_after_two_hours)

    watched.fail_model()
    assert watched.outcome(ticket_id)["status"] == "PROCESSED"
    invoke(watched, "sweep")
    alarms.are_over(THROTTLED_MODEL)


def read(stack: RunningStack, ticket_id: str) -> dict[str, Any]:
    return dict(stack.get(ticket_id, token=stack.token("agent-token")).json())


def test_a_slow_model_and_executions_that_vanish(watched: RunningStack, alarms: Alarms) -> None:
    alarms.are_off(SLOW_MODEL | VANISHED_EXECUTIONS)
    tickets: list[str] = []
    watched.fail_model(slow=1.0)
    with execution_limit(watched, SLOW_SECONDS // 2):
        # At most four functions call the model at a time.
        alarms.go_off(SLOW_MODEL, lambda: tickets.append(watched.submit(TICKET)), every=SLOW_SECONDS / 4)
        assert wait_for(watched.is_idle, DEADLINE)
    watched.fail_model()

    for ticket in tickets:
        watched.backdate(ticket, timedelta(hours=1), "pendingSince", "leasedUntil")
    with watched.denied("resume", "states:StartSyncExecution"):
        alarms.go_off(VANISHED_EXECUTIONS, lambda: invoke(watched, "sweep"))
    alarms.are_over(SLOW_MODEL | VANISHED_EXECUTIONS)
    assert {watched.outcome(ticket)["status"] for ticket in tickets} == {"PROCESSED"}


@contextmanager
def execution_limit(stack: RunningStack, seconds: int) -> Iterator[None]:
    """Executions time out after so many seconds until the block ends."""
    client, machine = stack.stack.client("stepfunctions"), stack.stack.state_machine_arn
    alias = f"{machine}:live"
    before = client.describe_state_machine_alias(stateMachineAliasArn=alias)["routingConfiguration"]
    version = client.describe_state_machine(stateMachineArn=before[0]["stateMachineVersionArn"])
    definition = json.dumps(json.loads(version["definition"]) | {"TimeoutSeconds": seconds})
    updated = client.update_state_machine(stateMachineArn=machine, definition=definition, publish=True)
    routing = [{"stateMachineVersionArn": updated["stateMachineVersionArn"], "weight": 100}]
    client.update_state_machine_alias(stateMachineAliasArn=alias, routingConfiguration=routing)
    try:
        yield
    finally:
        client.update_state_machine_alias(stateMachineAliasArn=alias, routingConfiguration=before)


def test_functions_without_rights_and_one_that_may_not_run(watched: RunningStack, alarms: Alarms) -> None:
    alarms.are_off(MISSING_RIGHTS | THROTTLED_API)
    with (
        watched.denied("store", "dynamodb:*"),
        watched.denied("sweep", "dynamodb:*"),
        throttled(watched, "tickets"),
    ):
        invoke(watched, "sweep")
        alarms.go_off(MISSING_RIGHTS | THROTTLED_API, lambda: (watched.submit(TICKET), watched.get("any")))
    alarms.are_over(MISSING_RIGHTS | THROTTLED_API)


@contextmanager
def throttled(stack: RunningStack, function: str) -> Iterator[None]:
    """Lambda refuses all calls of a function until the block ends."""
    client, name = stack.stack.client("lambda"), stack.stack.function_name(function)
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    try:
        yield
    finally:
        client.delete_function_concurrency(FunctionName=name)


def test_functions_that_stall(watched: RunningStack, alarms: Alarms) -> None:
    alarms.are_off(STALLED_FUNCTIONS)
    # At most four functions of a kind run at a time.
    with alarms.minute(1), stalled_functions(watched), ThreadPoolExecutor(4) as pool:

        def call() -> None:
            watched.submit(TICKET)
            pool.submit(watched.get, "any")

        alarms.go_off(STALLED_FUNCTIONS, call, every=1)
    alarms.are_over(STALLED_FUNCTIONS)


@contextmanager
def stalled_functions(stack: RunningStack) -> Iterator[None]:
    """The functions' processes run only for moments in between, until the block ends."""
    emulator = next(p for p in running_processes(stack.folder) if "devtools.emulator" in p.cmdline())
    is_over = Event()

    def stall() -> None:
        while not is_over.is_set():
            functions = emulator.children()
            for function in functions:
                with suppress(psutil.NoSuchProcess):
                    function.suspend()
            is_over.wait(STALL_SECONDS)
            for function in functions:
                with suppress(psutil.NoSuchProcess):
                    function.resume()
            is_over.wait(0.2)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(stall)
        try:
            yield
        finally:
            is_over.set()


def test_a_lost_mail_subscription_and_mail_that_nobody_gets_for_hours(
    watched: RunningStack, alarms: Alarms
) -> None:
    invoke(watched, "digest")
    alarms.are_off(LOST_SUBSCRIPTION | NOBODY_FOR_HOURS)
    with lost_subscriptions(watched):

        def want_mail() -> None:
            watched.submit(URGENT)
            watched.submit(TICKET)
            invoke(watched, "digest")

        alarms.go_off(LOST_SUBSCRIPTION, want_mail)
        with alarms.minute(FAST):
            alarms.go_off(NOBODY_FOR_HOURS, lambda: watched.submit(UNCERTAIN))
    alarms.are_over(LOST_SUBSCRIPTION | NOBODY_FOR_HOURS, meanwhile=lambda: invoke(watched, "digest"))


@contextmanager
def lost_subscriptions(stack: RunningStack) -> Iterator[None]:
    """Nobody is subscribed to the mail topic until the block ends."""
    sns, topic = stack.stack.client("sns"), stack.stack.physical_id("MailTopic")
    subscriptions = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    for subscription in subscriptions:
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    try:
        yield
    finally:
        for subscription in subscriptions:
            sns.subscribe(**{name: subscription[name] for name in ("TopicArn", "Protocol", "Endpoint")})


def test_a_mail_queue_that_does_not_accept_notifications(watched: RunningStack, alarms: Alarms) -> None:
    alarms.are_off(CLOSED_QUEUE)
    sqs, queue = watched.stack.client("sqs"), watched.stack.physical_id("ImmediateMailQueue")
    policy = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"])["Attributes"]["Policy"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})
    ticket_id = watched.submit(URGENT)
    alarms.go_off(CLOSED_QUEUE)

    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    watched.mails()
    move_messages(watched, watched.stack.physical_id("UndeliveredMailQueue"), queue)
    alarms.are_over(CLOSED_QUEUE)
    assert wait_for(lambda: any(ticket_id in mail["Message"] for mail in watched.mails()), DEADLINE)


def move_messages(stack: RunningStack, source: str, destination: str) -> None:
    """Run the commands of the runbook."""
    guide = (PROJECT / "docs" / "runbook.md").read_text()
    (commands,) = re.findall(r"^```sh\n(while message=.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f". {stack.folder}/aws.env\n{commands}"],
        cwd=PROJECT,
        env=stack.environment | {"FROM": source, "TO": destination},
        check=True,
    )
