"""A stack on moto, and a fake of what moto lacks: the waiting room's consumer."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops.context import CommandContext
from ops.report import Report
from ops.target import Target
from support.aws.table import TicketTable
from support.domain.execution import Execution
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Analysis, Failure
from support.domain.waiting import WaitingTicket, predecessor, waiting_since
from tests.helpers.aws_clients import aws_client

EVENTS = Path(__file__).parents[2] / "events"
SUBMISSION: dict[str, Any] = json.loads((EVENTS / "executions" / "billing.json").read_text())
ANALYSIS: Analysis = json.loads((EVENTS / "update" / "analysis.json").read_text())["ticket"]["analysis"]
ACCOUNT = "arn:aws:states:us-east-1:123456789012:express:pipeline"
LOG_GROUP = "/aws/vendedlogs/states/pipeline"
OPERATIONS_LOG_GROUP = "operations"
FUNCTIONS = "functions"

type ContextFactory = Callable[..., CommandContext]


def ago(**duration: float) -> datetime:
    return datetime.now(UTC) - timedelta(**duration)


def submission(ticket_id: str, content: str = "I was charged twice.") -> dict[str, Any]:
    return {**SUBMISSION, "ticketId": ticket_id, "request": {"content": content}}


def arn_of(execution: str) -> str:
    return f"{ACCOUNT}:{execution}:u-u-i-d"


class Pipeline:
    """The stack's queues and tickets, and a fake of the waiting room's consumer.

    An execution fails with `error` or is deferred by `deferral_error`, if one of them is set.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.table: TicketTable = target.table
        self.error: str | None = None
        self.deferral_error: str | None = None
        self.is_stopped = False
        self.can_store = True
        self.batch_size = 1_000
        self.consumed: list[dict[str, Any]] = []

    def store(self, ticket_id: str, content: str = "I was charged twice.") -> Ticket:
        """Store a ticket whose execution disappeared: its lease has expired."""
        started_at = ago(minutes=6)
        ticket = Ticket.from_submission(submission(ticket_id, content), now=started_at, retention_days=0)
        return self.table.claim(ticket, execution_of(ticket_id), started_at)[0]

    def claim(self, ticket_id: str) -> None:
        """Start a new execution of the ticket."""
        ticket = Ticket.from_submission(submission(ticket_id), now=ago(), retention_days=0)
        self.table.claim(ticket, execution_of(f"{ticket_id}-r0"), ago())

    def fail(self, ticket_id: str, error: str = "ModelRejected", *, since: datetime | None = None) -> None:
        """Store a ticket that is FAILED, without a message in the queue."""
        self.store(ticket_id)
        self.record_failure(ticket_id, error, ticket_id, since or ago(minutes=1))

    def defer(self, ticket_id: str, error: str = "ModelThrottled", *, since: datetime | None = None) -> None:
        """Store a ticket that waits and whose message is in flight."""
        self.store(ticket_id)
        self.table.record_deferral(
            ticket_id,
            error=error,
            since=timestamp(since or ago(minutes=4)),
            execution_arn=arn_of(ticket_id),
            now=ago(),
        )

    def wait(self, ticket_id: str, reason: str, *, since: datetime) -> None:
        """Store a failed ticket and mark it as waiting, without a message."""
        self.fail(ticket_id)
        failed = self.table.get(ticket_id)
        assert failed
        self.table.mark_waiting(failed, reason=reason, now=since)

    def record_failure(self, ticket_id: str, error: str, execution: str, moment: datetime) -> None:
        """Record the failure of an execution."""
        failure: Failure = {"error": error, "cause": "no", "failedAt": timestamp(moment)}
        self.table.record_failure(
            ticket_id,
            failure,
            execution_name=execution,
            execution_arn=arn_of(execution),
            now=datetime.now(UTC),
        )

    def process(self, ticket_id: str) -> None:
        """Record the analysis and the notification of a stored ticket."""
        self.table.record_analysis(ticket_id, ANALYSIS, execution_name="e", now=ago())
        self.table.mark_notified(ticket_id, ago())

    def queue_failure(self, ticket_id: str, error: str = "ModelRejected", **changes: Any) -> None:
        """Send a failure message to the failed-tickets queue."""
        message = {
            "input": submission(ticket_id),
            "execution": arn_of(ticket_id),
            "error": error,
            "cause": "no",
            "failedAt": timestamp(ago(seconds=59)),
        }
        self.queue_message(json.dumps(message | changes))

    def queue_deferral(self, ticket_id: str, since: datetime) -> None:
        """Send a deferral message to the failed-tickets queue, as SQS does after too many attempts."""
        waiting = {"since": timestamp(since), "execution": arn_of("before"), "deaths": 2}
        message = {
            "input": {**submission(ticket_id), "waiting": waiting},
            "execution": arn_of(ticket_id),
            "error": "ModelThrottled",
            "cause": "no",
            "deferredAt": timestamp(ago(minutes=3)),
        }
        self.queue_message(json.dumps(message))

    def queue_message(self, body: str) -> None:
        """Send any message to the failed-tickets queue."""
        attributes = {"error": {"DataType": "String", "StringValue": "E"}}
        self.target.failed_tickets_queue.send(body, attributes)

    def consume(self, _seconds: float = 0) -> None:
        """Consume the waiting room, tickets with priority first, and run the executions."""
        if self.is_stopped:
            return
        urls = self.target.priority_waiting_room_url, self.target.waiting_room_url
        for message in [one for url in urls for one in self._receive(url, self.batch_size)]:
            self.consumed.append(json.loads(message["Body"]))
            waiting = WaitingTicket.from_message(message["Body"], ago())
            self._execute(f"{waiting.submission['ticketId']}-r{message['MessageId'][:8]}", waiting.to_input())

    def _execute(self, name: str, execution_input: dict[str, Any]) -> None:
        submitted = Ticket.from_submission(execution_input, now=ago(), retention_days=0)
        if not self.can_store:
            self.queue_failure(submitted.ticket_id, "StoreRejected", execution=arn_of(name))
            return
        ticket, is_claimed = self.table.claim(
            submitted, execution_of(name, after=predecessor(execution_input)), ago()
        )
        if not is_claimed:
            return
        if self.deferral_error:
            self._defer(ticket.ticket_id, name, execution_input, self.deferral_error)
        elif self.error:
            self.record_failure(ticket.ticket_id, self.error, name, ago())
        else:
            self.process(ticket.ticket_id)

    def _defer(self, ticket_id: str, name: str, execution_input: dict[str, Any], error: str) -> None:
        since = waiting_since(execution_input, ago())
        self.table.record_deferral(ticket_id, error=error, since=since, execution_arn=arn_of(name), now=ago())
        message = {
            "input": execution_input,
            "execution": arn_of(name),
            "error": error,
            "deferredAt": timestamp(ago()),
        }
        self.target.waiting_room.send(json.dumps(message))

    def receive(self, url: str) -> list[str]:
        """Receive and delete all visible messages of a queue."""
        return [message["Body"] for message in self._receive(url, 1_000)]

    def _receive(self, url: str, limit: int) -> Iterator[Any]:
        for _ in range(limit):
            batch = self.target.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1).get("Messages")
            if not batch:
                return
            self.target.sqs.delete_message(QueueUrl=url, ReceiptHandle=batch[0]["ReceiptHandle"])
            yield batch[0]

    def failed_messages(self) -> list[dict[str, Any]]:
        """Receive and delete the messages in the failed-tickets queue."""
        return [json.loads(body) for body in self.receive(self.target.failed_tickets_queue_url)]

    def waiting_messages(self) -> list[dict[str, Any]]:
        """Receive and delete the messages in the waiting room."""
        return [json.loads(body) for body in self.receive(self.target.waiting_room_url)]


def execution_of(execution: str, *, after: str | None = None) -> Execution:
    return Execution(name=execution, arn=arn_of(execution), entered_at=timestamp(ago()), predecessor=after)


class Logs:
    """Writes the log groups of the state machine and of the functions, in AWS's formats."""

    def __init__(self, client: Any) -> None:
        self._client = client
        client.create_log_group(logGroupName=FUNCTIONS)
        for group in (LOG_GROUP, FUNCTIONS):
            client.create_log_stream(logGroupName=group, logStreamName="s")
        self._ids = iter(range(1, 1000))

    def event(self, execution: str, event_type: str, *, at: datetime | None = None, **details: Any) -> None:
        """Log an event of an execution."""
        moment = at or ago(minutes=1)
        event = {
            "id": str(next(self._ids)),
            "type": event_type,
            "details": details,
            "event_timestamp": str(round(moment.timestamp() * 1000)),
            "execution_arn": arn_of(execution),
        }
        self._put(LOG_GROUP, event, moment)

    def line(self, message: str, **fields: Any) -> None:
        """Log a line of a function about a ticket."""
        line = {"level": "WARNING", "message": message, "ticketId": "t-1", "timestamp": "12:00:00"}
        self._put(FUNCTIONS, line | {"function_name": "dev-ClassifyFunction-AbC1"} | fields, ago(minutes=1))

    def _put(self, group: str, line: Any, moment: datetime) -> None:
        event = {"timestamp": round(moment.timestamp() * 1000), "message": json.dumps(line)}
        self._client.put_log_events(logGroupName=group, logStreamName="s", logEvents=[event])


class MovingSqs:
    """An SQS client that can move messages, unlike moto's, or rejects the move, like the emulator's."""

    def __init__(self, client: Any, *, can_move: bool) -> None:
        self._client = client
        self._can_move = can_move
        self.tasks: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def list_message_move_tasks(self, **_: Any) -> dict[str, Any]:
        if not self._can_move:
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
    return MovingSqs(aws_client("sqs"), can_move=False)


@pytest.fixture
def target(sqs: Any) -> Target:
    logs = aws_client("logs")
    logs.create_log_group(logGroupName=LOG_GROUP)
    logs.create_log_group(logGroupName=OPERATIONS_LOG_GROUP)
    return Target(
        label="the stack",
        dynamodb=aws_client("dynamodb"),
        sqs=sqs,
        logs=logs,
        sts=aws_client("sts"),
        tickets_table=os.environ["TICKETS_TABLE"],
        failed_tickets_queue_url=sqs.create_queue(QueueName="failed")["QueueUrl"],
        waiting_room_url=sqs.create_queue(QueueName="waiting-room")["QueueUrl"],
        priority_waiting_room_url=sqs.create_queue(QueueName="priority-waiting-room")["QueueUrl"],
        log_group=LOG_GROUP,
        operations_log_group=OPERATIONS_LOG_GROUP,
        ticket_retention_days=0,
        long_poll_seconds=0,
    )


@pytest.fixture
def pipeline(target: Target) -> Pipeline:
    return Pipeline(target)


@pytest.fixture
def logs(pipeline: Pipeline) -> Logs:
    return Logs(pipeline.target.logs)


@pytest.fixture
def context(pipeline: Pipeline) -> ContextFactory:
    """Creates the context of a command; the pipeline consumes the waiting room while the command sleeps."""

    def context(**options: Any) -> CommandContext:
        defaults: dict[str, Any] = {"target": pipeline.target, "report": Report(), "sleep": pipeline.consume}
        return CommandContext(**defaults | options)

    return context
