"""What failed: the FAILED tickets in the table and the messages in the failed-tickets queue, as one list."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ops.queue import Message
from support.aws.table import TicketTable
from support.domain.errors import InvalidTicket
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Status

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Identity = tuple[str | None, ...]

# What a failure message holds. One that was deferred has `deferredAt` in the place of `failedAt`.
_FAILURE = {"input", "execution", "error", "failedAt"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTicket:
    """A ticket that failed, with what its replay needs. `found` says where: `table`, `queue`, `log`."""

    ticket: Ticket
    submission: Mapping[str, Any]
    execution: str
    error: str
    cause: str
    failed_at: datetime
    found: tuple[str, ...]
    attempts: int | None = None
    stored: Ticket | None = None
    messages: tuple[Message, ...] = ()

    @property
    def ticket_id(self) -> str:
        """The stored ticket's id; of one that was never stored, the id that the customer was told."""
        return (self.stored or self.ticket).ticket_id

    @property
    def is_processed(self) -> bool:
        """Whether it got through since: its message is stale."""
        return self.stored is not None and self.stored.notified_at is not None

    @property
    def is_dismissed(self) -> bool:
        """Whether an operator decided that it is not to be replayed."""
        return self.stored is not None and self.stored.dismissed is not None

    @property
    def can_be_moved(self) -> bool:
        """Whether it has messages, and they can go to the waiting room as they are: its wait begins anew.

        One that SQS took out of the waiting room would go on with the old wait.
        """
        bodies = [json.loads(message.body) for message in self.messages]
        return bool(bodies) and all(body.keys() >= _FAILURE for body in bodies)

    def to_message(self) -> str:
        """A failure message's body, as the state machine makes it. ASCII: SQS refuses some characters."""
        return json.dumps(
            {
                "input": self.submission,
                "execution": self.execution,
                "error": self.error,
                "cause": self.cause,
                "failedAt": timestamp(self.failed_at),
            }
        )

    def merged_with(self, other: FailedTicket) -> FailedTicket:
        """Both as one: the newest failure, and all places and messages, newest first."""
        newest, oldest = (self, other) if self.failed_at > other.failed_at else (other, self)
        return replace(
            newest,
            found=tuple(dict.fromkeys(self.found + other.found)),
            messages=newest.messages + oldest.messages,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableMessage:
    """A message from which no ticket can be started; the reason holds no text of the customer's."""

    message: Message
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableTicket:
    """An item of the table that is not a ticket; the reason holds no text of the customer's."""

    ticket_id: str
    reason: str


type Unreadable = UnreadableMessage | UnreadableTicket


def find(
    table: TicketTable, candidates: Iterable[str], messages: Iterable[Message]
) -> tuple[list[FailedTicket], list[Unreadable]]:
    """The failed tickets among the candidates' ids and the messages, oldest first, and what is unreadable.

    Raises:
        StoreUnavailable, StoreRejected: the table cannot be read.
    """
    queued: list[FailedTicket] = []
    unreadable: list[Unreadable] = []
    for message in messages:
        try:
            queued.append(from_message(message))
        except InvalidTicket as error:
            unreadable.append(UnreadableMessage(message=message, reason=str(error)))
    stored = lookup(table, [failed.ticket for failed in queued])
    known = [
        replace(failed, stored=ticket, attempts=ticket.attempts)
        if (ticket := stored.get(failed.ticket.identity))
        else failed
        for failed in queued
    ]
    named = list(in_parallel(lambda ticket_id: _get(table, ticket_id), candidates))
    unreadable += [one for one in named if isinstance(one, UnreadableTicket)]
    tickets = [one for one in named if isinstance(one, Ticket)]
    tabled = [from_ticket(ticket) for ticket in [*tickets, *stored.values()] if ticket.needs_replay]
    return sorted(_merged([*tabled, *known]), key=lambda failed: failed.failed_at), unreadable


def from_message(message: Message) -> FailedTicket:
    """The ticket of a failure message, or of a deferred one that SQS moved to the failed-tickets queue.

    Raises:
        InvalidTicket: it is neither, or its input is not a submission.
    """
    try:
        body = json.loads(message.body)
        submission, execution = body["input"], body["execution"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidTicket("The message is no failure message: it holds no input or execution.") from error
    if not isinstance(submission, Mapping):
        raise InvalidTicket("The message is no failure message: its input is no object.")
    return FailedTicket(
        ticket=Ticket.from_submission(submission, now=message.sent_at, retention_days=0),
        submission=submission,
        execution=str(execution),
        error=str(body.get("error", "")),
        cause=str(body.get("cause", "")),
        failed_at=_moment(body.get("failedAt", body.get("deferredAt"))) or message.sent_at,
        found=("queue",),
        messages=(message,),
    )


def from_ticket(ticket: Ticket) -> FailedTicket:
    """The failure that the table holds of a ticket."""
    failure = ticket.failure or {"error": "", "cause": "", "failedAt": ticket.updated_at}
    return FailedTicket(
        ticket=ticket,
        submission=ticket.to_submission(),
        execution=ticket.history[-1]["execution"] if ticket.history else ticket.ticket_id,
        error=failure["error"],
        cause=failure["cause"],
        failed_at=_moment(failure["failedAt"]) or datetime.fromisoformat(ticket.updated_at),
        found=("table",),
        attempts=ticket.attempts,
        stored=ticket,
    )


def lookup(table: TicketTable, tickets: Iterable[Ticket]) -> dict[Identity, Ticket]:
    """The readable stored tickets of these submissions, as last written, by the submission's identity."""

    def find(ticket: Ticket) -> Ticket | None:
        with suppress(InvalidTicket):
            return table.find(ticket)
        return None

    distinct = {ticket.identity: ticket for ticket in tickets}.values()
    return {ticket.identity: ticket for ticket in in_parallel(find, distinct) if ticket}


def _get(table: TicketTable, ticket_id: str) -> Ticket | UnreadableTicket | None:
    try:
        return table.get(ticket_id)
    except InvalidTicket as error:
        return UnreadableTicket(ticket_id=ticket_id, reason=str(error))


def in_parallel[A, B](do: Callable[[A], B], what: Iterable[A]) -> Iterator[B]:
    """The results of several calls, eight at a time."""
    with ThreadPoolExecutor(8) as pool:
        yield from pool.map(do, what)


def failed_ids(client: DynamoDBClient, table: str) -> Iterator[str]:
    """The ids of the FAILED tickets, by the index; it lags behind the table by a moment."""
    pages = client.get_paginator("query").paginate(
        TableName=table,
        IndexName="ByStatus",
        KeyConditionExpression="#status = :failed",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":failed": {"S": Status.FAILED}},
    )
    return (item["ticketId"]["S"] for page in pages for item in page["Items"])


def _merged(found: Iterable[FailedTicket]) -> list[FailedTicket]:
    """One for each submission: under one id there may be several."""
    merged: dict[Identity, FailedTicket] = {}
    for failed in found:
        other = merged.get(failed.ticket.identity)
        merged[failed.ticket.identity] = other.merged_with(failed) if other else failed
    return [*merged.values()]


def _moment(text: object) -> datetime | None:
    """A time of day with its zone; None for anything else."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None
