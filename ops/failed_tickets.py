"""The failed tickets in the table and in the failed-tickets queue, as one list."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from ops.queue import Message
from support.aws.index_keys import status_shards
from support.aws.table import TicketTable
from support.domain.errors import InvalidTicket
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Failure, Status

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Identity = tuple[str | None, ...]

# The fields of a failure message. A deferral message has `deferredAt` instead of `failedAt`.
_FAILURE_FIELDS = {"input", "execution", "error", "failedAt"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTicket:
    """A failed ticket and what its replay needs.

    `ticket` is parsed from `submission`, the input of the failed execution; `stored` is the ticket in the
    table. `execution` is an ARN or a name. `found_in` lists the sources: `table`, `queue`, `log`.
    """

    ticket: Ticket
    submission: Mapping[str, Any]
    execution: str
    error: str
    cause: str
    failed_at: datetime
    found_in: tuple[str, ...]
    attempts: int | None = None
    stored: Ticket | None = None
    messages: tuple[Message, ...] = ()

    @classmethod
    def from_message(cls, message: Message) -> Self:
        """The ticket in a failure message, or in a deferral message from the waiting room.

        Raises:
            InvalidTicket: the message is neither, or its input is not a submission.
        """
        try:
            body = json.loads(message.body)
            submission, execution = body["input"], body["execution"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InvalidTicket(
                "The message is not a failure message: it has no input or execution."
            ) from error
        if not isinstance(submission, Mapping):
            raise InvalidTicket("The message is not a failure message: its input is not an object.")
        return cls(
            ticket=Ticket.from_submission(submission, now=message.sent_at, retention_days=0),
            submission=submission,
            execution=str(execution),
            error=str(body.get("error", "")),
            cause=str(body.get("cause", "")),
            failed_at=_parse_time(body.get("failedAt", body.get("deferredAt"))) or message.sent_at,
            found_in=("queue",),
            messages=(message,),
        )

    @classmethod
    def from_stored(cls, ticket: Ticket) -> Self:
        """A failed ticket in the table."""
        failure = ticket.failure or {"error": "", "cause": "", "failedAt": ticket.updated_at}
        return cls(
            ticket=ticket,
            submission=ticket.to_submission(),
            execution=ticket.history[-1]["execution"] if ticket.history else ticket.ticket_id,
            error=failure["error"],
            cause=failure["cause"],
            failed_at=_parse_time(failure["failedAt"]) or datetime.fromisoformat(ticket.updated_at),
            found_in=("table",),
            attempts=ticket.attempts,
            stored=ticket,
        )

    @property
    def identity(self) -> Identity:
        """What identifies the submission, whatever id its ticket has."""
        return self.ticket.identity

    @property
    def ticket_id(self) -> str:
        """The stored ticket's id; without a stored ticket, the id that the customer was told."""
        return (self.stored or self.ticket).ticket_id

    @property
    def is_processed(self) -> bool:
        """Whether a later execution processed the ticket, so that its messages are stale."""
        return self.stored is not None and self.stored.notified_at is not None

    @property
    def is_dismissed(self) -> bool:
        """Whether an operator decided not to replay the ticket."""
        return self.stored is not None and self.stored.dismissed is not None

    @property
    def failure(self) -> Failure:
        """The failure, as the table stores it."""
        return {"error": self.error, "cause": self.cause, "failedAt": timestamp(self.failed_at)}

    @property
    def can_be_moved(self) -> bool:
        """Whether the ticket has messages and they can be moved to the waiting room unchanged.

        A deferral message cannot: the ticket would keep its previous waiting time.
        """
        bodies = [json.loads(message.body) for message in self.messages]
        return bool(bodies) and all(body.keys() >= _FAILURE_FIELDS for body in bodies)

    def to_message(self) -> str:
        """The failure message, in the state machine's format. ASCII, because SQS rejects some characters."""
        return json.dumps({"input": self.submission, "execution": self.execution, **self.failure})

    def with_stored(self, stored: Ticket | None) -> Self:
        """The failed ticket with its ticket in the table, if there is one."""
        return replace(self, stored=stored, attempts=stored.attempts) if stored else self

    def merge(self, other: Self) -> Self:
        """The newest failure of the same ticket, with both sources and all messages, newest first."""
        newest, oldest = (self, other) if self.failed_at > other.failed_at else (other, self)
        return replace(
            newest,
            found_in=tuple(dict.fromkeys(self.found_in + other.found_in)),
            messages=newest.messages + oldest.messages,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableMessage:
    """A message that contains no ticket; the reason quotes nothing from it."""

    message: Message
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableTicket:
    """An item in the table that is not a ticket; the reason quotes nothing from it."""

    ticket_id: str
    reason: str


type Unreadable = UnreadableMessage | UnreadableTicket


def find_failed_tickets(
    table: TicketTable, ticket_ids: Iterable[str], messages: Iterable[Message]
) -> tuple[list[FailedTicket], list[Unreadable]]:
    """The failed tickets among these ids and messages, oldest failure first, and what is unreadable.

    Raises:
        StoreUnavailable, StoreRejected: the table cannot be read.
    """
    queued, unreadable_messages = read_messages(messages)
    stored = find_stored(table, queued)
    tickets, unreadable_tickets = _read_tickets(table, ticket_ids)
    found = [
        *(FailedTicket.from_stored(one) for one in [*tickets, *stored.values()] if one.needs_replay),
        *(one.with_stored(stored.get(one.identity)) for one in queued),
    ]
    return (
        sorted(_merge(found), key=lambda ticket: ticket.failed_at),
        [*unreadable_messages, *unreadable_tickets],
    )


def read_messages(messages: Iterable[Message]) -> tuple[list[FailedTicket], list[UnreadableMessage]]:
    """The failed tickets in these messages, and the messages that contain none."""
    tickets: list[FailedTicket] = []
    unreadable: list[UnreadableMessage] = []
    for message in messages:
        try:
            tickets.append(FailedTicket.from_message(message))
        except InvalidTicket as error:
            unreadable.append(UnreadableMessage(message=message, reason=str(error)))
    return tickets, unreadable


def find_stored(table: TicketTable, tickets: Iterable[FailedTicket]) -> dict[Identity, Ticket]:
    """The stored tickets of these submissions, without unreadable ones."""

    def find(ticket: Ticket) -> Ticket | None:
        with suppress(InvalidTicket):
            return table.find(ticket)
        return None

    distinct = {one.identity: one.ticket for one in tickets}.values()
    return {stored.identity: stored for stored in map_parallel(find, distinct) if stored}


def failed_ticket_ids(client: DynamoDBClient, table: str) -> Iterator[str]:
    """The ids of the FAILED tickets in the index, which is eventually consistent."""
    query = client.get_paginator("query")
    for key in status_shards(Status.FAILED):
        pages = query.paginate(
            TableName=table,
            IndexName="ByStatus",
            KeyConditionExpression="statusShard = :failed",
            ExpressionAttributeValues={":failed": {"S": key}},
        )
        yield from (item["ticketId"]["S"] for page in pages for item in page["Items"])


def map_parallel[A, B](function: Callable[[A], B], values: Iterable[A]) -> list[B]:
    """The function's results for these values; makes eight calls at a time."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(function, values))


def _read_tickets(
    table: TicketTable, ticket_ids: Iterable[str]
) -> tuple[list[Ticket], list[UnreadableTicket]]:
    def read(ticket_id: str) -> Ticket | UnreadableTicket | None:
        try:
            return table.get(ticket_id)
        except InvalidTicket as error:
            return UnreadableTicket(ticket_id=ticket_id, reason=str(error))

    found = map_parallel(read, ticket_ids)
    return (
        [one for one in found if isinstance(one, Ticket)],
        [one for one in found if isinstance(one, UnreadableTicket)],
    )


def _merge(tickets: Iterable[FailedTicket]) -> Iterable[FailedTicket]:
    """One failed ticket per submission; several submissions may have the same ticket id."""
    merged: dict[Identity, FailedTicket] = {}
    for ticket in tickets:
        other = merged.get(ticket.identity)
        merged[ticket.identity] = other.merge(ticket) if other else ticket
    return merged.values()


def _parse_time(text: object) -> datetime | None:
    """A time with a time zone, in UTC; None for anything else."""
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time.astimezone(UTC) if time.tzinfo else None
