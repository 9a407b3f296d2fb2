"""A stack as moto plays it, and the part of it that moto does not play: the waiting room's consumer."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from ops.report import Report
from ops.run import Run
from ops.target import Target
from support.aws.table import TicketTable
from support.domain.execution import Execution
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Analysis, Failure
from support.domain.waiting import WaitingTicket, predecessor, waiting_since

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


def arn_of(execution: str) -> str:
    return f"{ACCOUNT}:{execution}:u-u-i-d"


class Pipeline:
    """The stack's queues and tickets, and the waiting room's consumer, which runs whenever somebody waits.

    Every execution ends with `error` (the ticket failed) or `deferred_by` (it waits again), if it is set.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.table: TicketTable = target.table
        self.error: str | None = None
        self.deferred_by: str | None = None
        self.stands_still = False
        self.stores = True
        self.per_turn = 1_000
        self.started: list[dict[str, Any]] = []

    def store(self, ticket_id: str, content: str = "I was charged twice.") -> Ticket:
        """A ticket whose execution vanished: its lease is over."""
        began = ago(minutes=6)
        ticket = Ticket.from_submission(submission(ticket_id, content), now=began, retention_days=0)
        return self.table.claim(ticket, execution_of(ticket_id), began)[0]

    def claim(self, ticket_id: str) -> None:
        """A new execution has begun to work on the ticket."""
        ticket = Ticket.from_submission(submission(ticket_id), now=ago(), retention_days=0)
        self.table.claim(ticket, execution_of(f"{ticket_id}-r0"), ago())

    def fail(self, ticket_id: str, error: str = "ModelRejected", *, since: datetime | None = None) -> None:
        """A ticket that is FAILED in the table, and of which nothing is in the queue."""
        self.store(ticket_id)
        self.record_failure(ticket_id, error, ticket_id, since or ago(minutes=1))

    def defer(self, ticket_id: str, error: str = "ModelThrottled", *, since: datetime | None = None) -> None:
        """A ticket that waits, and whose message somebody has just received."""
        self.store(ticket_id)
        self.table.record_deferral(
            ticket_id,
            error=error,
            since=timestamp(since or ago(minutes=4)),
            execution_arn=arn_of(ticket_id),
            now=ago(),
        )

    def wait(self, ticket_id: str, reason: str, *, since: datetime) -> None:
        """A failed ticket that somebody has put into the waiting room."""
        self.fail(ticket_id)
        failed = self.table.get(ticket_id)
        assert failed
        self.table.mark_waiting(failed, reason=reason, now=since)

    def record_failure(self, ticket_id: str, error: str, execution: str, moment: datetime) -> None:
        """An execution failed."""
        failure: Failure = {"error": error, "cause": "no", "failedAt": timestamp(moment)}
        self.table.record_failure(
            ticket_id,
            failure,
            execution_name=execution,
            execution_arn=arn_of(execution),
            now=datetime.now(UTC),
        )

    def process(self, ticket_id: str) -> None:
        self.table.record_analysis(ticket_id, ANALYSIS, execution_name="e", now=ago())
        self.table.mark_notified(ticket_id, ago())

    def queue_failure(self, ticket_id: str, error: str = "ModelRejected", **changes: Any) -> None:
        """A failure message in the failed-tickets queue."""
        message = {
            "input": submission(ticket_id),
            "execution": arn_of(ticket_id),
            "error": error,
            "cause": "no",
            "failedAt": timestamp(ago(seconds=59)),
        }
        self.queue(json.dumps(message | changes))

    def queue_deferral(self, ticket_id: str, since: datetime) -> None:
        """A message in the failed-tickets queue that SQS took out of the waiting room."""
        waiting = {"since": timestamp(since), "execution": arn_of("before"), "deaths": 2}
        message = {
            "input": {**submission(ticket_id), "waiting": waiting},
            "execution": arn_of(ticket_id),
            "error": "ModelThrottled",
            "cause": "no",
            "deferredAt": timestamp(ago(minutes=3)),
        }
        self.queue(json.dumps(message))

    def queue(self, body: str) -> None:
        attributes = {"error": {"DataType": "String", "StringValue": "E"}}
        self.target.failed_tickets.send(body, attributes)

    def work(self, _seconds: float = 0) -> None:
        """What the consumer does, and the executions that it runs."""
        if self.stands_still:
            return
        urls = self.target.priority_waiting_room_url, self.target.waiting_room_url
        for message in [one for url in urls for one in self._taken(url, self.per_turn)]:
            self.started.append(json.loads(message["Body"]))
            waiting = WaitingTicket.from_message(message["Body"], ago())
            self._execute(f"{waiting.submission['ticketId']}-r{message['MessageId'][:8]}", waiting.to_input())

    def _execute(self, name: str, execution_input: dict[str, Any]) -> None:
        submitted = Ticket.from_submission(execution_input, now=ago(), retention_days=0)
        if not self.stores:
            self.queue_failure(submitted.ticket_id, "StoreRejected", execution=arn_of(name))
            return
        ticket, is_claimed = self.table.claim(
            submitted, execution_of(name, after=predecessor(execution_input)), ago()
        )
        if not is_claimed:
            return
        if self.deferred_by:
            since = waiting_since(execution_input, ago())
            self.table.record_deferral(
                ticket.ticket_id, error=self.deferred_by, since=since, execution_arn=arn_of(name), now=ago()
            )
            self.target.waiting_room.send(
                json.dumps(
                    {
                        "input": execution_input,
                        "execution": arn_of(name),
                        "error": self.deferred_by,
                        "deferredAt": timestamp(ago()),
                    }
                )
            )
        elif self.error:
            self.record_failure(ticket.ticket_id, self.error, name, ago())
        else:
            self.process(ticket.ticket_id)

    def take(self, url: str) -> list[str]:
        """Take all visible messages out of a queue."""
        return [message["Body"] for message in self._taken(url, 1_000)]

    def _taken(self, url: str, limit: int) -> Iterator[Any]:
        for _ in range(limit):
            batch = self.target.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1).get("Messages")
            if not batch:
                return
            self.target.sqs.delete_message(QueueUrl=url, ReceiptHandle=batch[0]["ReceiptHandle"])
            yield batch[0]

    def failed_messages(self) -> list[dict[str, Any]]:
        """Take out what is in the failed-tickets queue."""
        return [json.loads(body) for body in self.take(self.target.failed_tickets_queue_url)]

    def waiting_messages(self) -> list[dict[str, Any]]:
        """Take out what is in the waiting room."""
        return [json.loads(body) for body in self.take(self.target.waiting_room_url)]


def execution_of(execution: str, *, after: str | None = None) -> Execution:
    return Execution(name=execution, arn=arn_of(execution), entered_at=timestamp(ago()), predecessor=after)


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
        waiting_room_url=sqs.create_queue(QueueName="waiting-room")["QueueUrl"],
        priority_waiting_room_url=sqs.create_queue(QueueName="priority-waiting-room")["QueueUrl"],
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
