"""A stack as moto plays it, and the part of it that moto does not play: what the replay queue starts."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from ops.report import Report
from ops.run import Run
from ops.target import Target
from support.aws.table import TicketTable
from support.domain.ticket import Analysis, Ticket, timestamp

EVENTS = Path(__file__).parents[3] / "events"
SUBMISSION: dict[str, Any] = json.loads((EVENTS / "executions" / "billing.json").read_text())
ANALYSIS: Analysis = json.loads((EVENTS / "update" / "analysis.json").read_text())["ticket"]["analysis"]
ACCOUNT = "arn:aws:states:us-east-1:123456789012:express:pipeline"
LOG_GROUP = "/aws/vendedlogs/states/pipeline"
OPERATIONS = "operations"


def ago(**duration: float) -> datetime:
    return datetime.now(UTC) - timedelta(**duration)


def submission(ticket_id: str, content: str = "I was charged twice.") -> dict[str, Any]:
    return {**SUBMISSION, "ticketId": ticket_id, "request": {"content": content}}


class Pipeline:
    """The stack's queues and tickets, and its replay function, which runs whenever somebody waits."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.table: TicketTable = target.table
        self.error: str | None = None
        self.stands_still = False
        self.stores = True
        self.started: list[dict[str, Any]] = []

    def store(self, ticket_id: str, content: str = "I was charged twice.") -> Ticket:
        ticket = Ticket.from_submission(submission(ticket_id, content), now=ago(minutes=5), retention_days=0)
        return self.table.store(ticket, ago(minutes=5), execution="another")

    def fail(self, ticket_id: str, error: str = "ModelRejected", *, since: datetime | None = None) -> None:
        """A ticket that is FAILED in the table, and of which nothing is in the queue."""
        self.store(ticket_id)
        moment = timestamp(since or ago(minutes=1))
        self.table.record_failure(
            ticket_id, {"error": error, "cause": "no", "failedAt": moment}, execution=ticket_id
        )

    def process(self, ticket_id: str) -> None:
        self.table.record_analysis(ticket_id, ANALYSIS, execution="e", now=ago())
        self.table.mark_announced(ticket_id, ago())

    def queue_failure(self, ticket_id: str, error: str = "ModelRejected", **changes: Any) -> None:
        """A failure message in the failed-tickets queue."""
        message = {
            "input": submission(ticket_id),
            "execution": f"{ACCOUNT}:{ticket_id}:u-u-i-d",
            "error": error,
            "cause": "no",
            "failedAt": timestamp(ago(seconds=59)),
        }
        self.queue(json.dumps(message | changes))

    def queue(self, body: str) -> None:
        attributes = {"error": {"DataType": "String", "StringValue": "E"}}
        self.target.failed_tickets.send(body, attributes)

    def work(self, _seconds: float = 0) -> None:
        """What the replay function and the executions that it starts do."""
        if self.stands_still:
            return
        for body in self.take(self.target.replay_queue_url):
            message = json.loads(body)
            self.started.append(message)
            self._execute(message)

    def _execute(self, message: dict[str, Any]) -> None:
        asked = Ticket.from_submission(message["input"], now=ago(), retention_days=0)
        known = self.table.find(asked)
        if known and not known.is_abandoned:
            return
        if not self.stores:
            self.queue_failure(asked.ticket_id, "StoreRejected", execution=message["execution"] + "-r1")
        ticket = known or (self.table.find_or_add(asked)[0] if self.stores else asked)
        if known:
            self.table.claim(known, sweeps=0, now=ago())
        if self.error:
            failure: Any = {"error": self.error, "cause": "no", "failedAt": timestamp(ago())}
            self.table.record_failure(ticket.ticket_id, failure, execution="again")
        elif self.stores:
            self.process(ticket.ticket_id)

    def take(self, url: str) -> list[str]:
        """Take all visible messages out of a queue."""
        bodies = []
        while batch := self.target.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                self.target.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                bodies.append(message["Body"])
        return bodies

    def failed_messages(self) -> list[dict[str, Any]]:
        """Take out what is in the failed-tickets queue."""
        return [json.loads(body) for body in self.take(self.target.failed_tickets_queue_url)]

    def replay_messages(self) -> list[dict[str, Any]]:
        """Take out what is in the replay queue."""
        return [json.loads(body) for body in self.take(self.target.replay_queue_url)]


class Sqs:
    """An SQS client that moves messages, which moto's does not; or that refuses, as the emulator's does."""

    def __init__(self, client: Any, *, moves: bool) -> None:
        self._client = client
        self._moves = moves
        self.tasks: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def list_message_move_tasks(self, **_: Any) -> dict[str, Any]:
        if not self._moves:
            self._client.get_queue_url(QueueName="no-such-operation")
        return {"Results": self.tasks}

    def start_message_move_task(self, *, SourceArn: str, DestinationArn: str) -> None:  # noqa: N803
        source, destination = (
            self._client.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
            for arn in (SourceArn, DestinationArn)
        )
        while batch := self._client.receive_message(QueueUrl=source).get("Messages"):
            for message in batch:
                self._client.send_message(QueueUrl=destination, MessageBody=message["Body"])
                self._client.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
        self.tasks.insert(0, {"Status": "COMPLETED"})


@pytest.fixture
def sqs(aws: None) -> Any:
    return Sqs(boto3.client("sqs"), moves=False)


@pytest.fixture
def target(sqs: Any) -> Target:
    logs = boto3.client("logs")
    logs.create_log_group(logGroupName=LOG_GROUP)
    logs.create_log_group(logGroupName=OPERATIONS)
    return Target(
        title="the stack",
        dynamodb=boto3.client("dynamodb"),
        sqs=sqs,
        logs=logs,
        sts=boto3.client("sts"),
        tickets_table=os.environ["TICKETS_TABLE"],
        failed_tickets_queue_url=sqs.create_queue(QueueName="failed")["QueueUrl"],
        replay_queue_url=sqs.create_queue(QueueName="replays")["QueueUrl"],
        log_group=LOG_GROUP,
        operations_log_group=OPERATIONS,
        ticket_retention_days=0,
        long_poll_seconds=0,
    )


@pytest.fixture
def pipeline(target: Target) -> Pipeline:
    return Pipeline(target)


@pytest.fixture
def run(pipeline: Pipeline) -> Callable[..., Run]:
    """A run of a command, in which the pipeline works whenever the command waits."""

    def run(**options: Any) -> Run:
        given: dict[str, Any] = {"target": pipeline.target, "report": Report(), "pause": pipeline.work}
        return Run(**given | options)

    return run
