"""A ticket, from submission to announcement.

Inside the code a ticket is a frozen dataclass; between the steps, in the table and on the API it is a
*document*: a JSON object with the camelCase names of the contract, without the fields that have no value.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NotRequired, Self, TypedDict, cast

from support.domain.caller import Caller
from support.domain.errors import InvalidTicket

MAX_CONTENT = 8_000
MAX_SUBJECT = 200
MAX_CUSTOMER_ID = 128
# The only value of `priority`: a ticket without it has none.
HIGH_PRIORITY = "high"
# An execution has at most 80 characters in its name, which is the ticket id with `-r` and eight characters.
MAX_TICKET_ID = 64
_TICKET_ID = re.compile(r"[A-Za-z0-9_-]+")
# More writes than a ticket will see; DynamoDB takes no number of more than 38 digits.
MAX_VERSION = 10**9

# What a customer does not see of a ticket: how it was worked on, inside, and how a service ranked it.
_INTERNAL = (
    "priority",
    "history",
    "pendingSince",
    "waitingSince",
    "waitingFor",
    "leasedBy",
    "leasedUntil",
    "assignee",
    "dismissed",
)


class Status(StrEnum):
    """Where a ticket stands: RECEIVED → PROCESSED → IN_PROGRESS → COMPLETED, or FAILED."""

    RECEIVED = "RECEIVED"
    PROCESSED = "PROCESSED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class ModelCall(TypedDict):
    """Which model call an analysis came from; tokens and milliseconds as Bedrock reports them."""

    id: str
    promptVersion: str
    inputTokens: int
    outputTokens: int
    latencyMs: int


class Analysis(TypedDict):
    """What the model found, in the form of analysis.schema.json, with what the code adds to it."""

    urgency: str
    category: str
    sentiment: str
    language: str
    summary: str
    response: str
    tags: list[str]
    confidence: float
    needsReview: bool
    model: ModelCall
    generatedAt: str


class Failure(TypedDict):
    """Why the last execution failed."""

    error: str
    cause: str
    failedAt: str


class Dismissal(TypedDict):
    """An operator's decision not to replay a failed ticket: the operator's ARN, when, and why."""

    by: str
    at: str
    reason: str


class Feedback(TypedDict):
    """What the customer said about how the ticket was handled; `rating` 1 to 5, 5 is best."""

    rating: int
    comment: NotRequired[str]
    givenAt: str
    changedAt: NotRequired[str]


class Attempt(TypedDict):
    """How one execution went: its name, and PROCESSED or the error that failed it."""

    execution: str
    outcome: str
    endedAt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One support ticket. Times are ISO 8601 in UTC, `expires_at` is in epoch seconds for DynamoDB's TTL.

    `version` counts up with what an agent has to see before changing the ticket: other agents' changes, and
    the pipeline's changes of status and analysis. `urgency` and `category` are the model's until an agent
    corrects them; `analysis` keeps the model's. `idempotency_key` is the id with which a submission came
    that is stored under another one, because the id was taken. `priority` is `high`, as a service asked for
    the ticket, and does not count in the submission's identity. `leased_by` is the execution that works on
    the ticket, until `leased_until` at most. `waiting_since` and `waiting_for` (an error's name, or what put
    it there) are of a ticket in the waiting room.
    """

    ticket_id: str
    customer_id: str
    content: str
    channel: str
    status: Status
    created_at: str
    updated_at: str
    version: int = 1
    attempts: int = 1
    idempotency_key: str | None = None
    subject: str | None = None
    priority: str | None = None
    urgency: str | None = None
    category: str | None = None
    assignee: str | None = None
    analysis: Analysis | None = None
    feedback: Feedback | None = None
    failure: Failure | None = None
    dismissed: Dismissal | None = None
    history: list[Attempt] | None = None
    notified_at: str | None = None
    pending_since: str | None = None
    waiting_since: str | None = None
    waiting_for: str | None = None
    leased_by: str | None = None
    leased_until: str | None = None
    expires_at: int | None = None

    @classmethod
    def from_submission(
        cls, execution_input: Mapping[str, Any], *, now: datetime, retention_days: int
    ) -> Self:
        """The new ticket that an execution's input describes; `retention_days` 0 keeps it for ever.

        Raises:
            InvalidTicket: a field is missing or has the wrong form; the message names it.
        """
        request = _field(execution_input, "request", Mapping)
        caller = Caller.from_document(_field(execution_input, "caller", Mapping))
        channel = _field(execution_input, "channel", str)
        return cls(
            ticket_id=_ticket_id(execution_input),
            idempotency_key=_optional_text(execution_input, "idempotencyKey", MAX_TICKET_ID),
            customer_id=_customer(caller, channel, request),
            content=_text(request, "content", MAX_CONTENT),
            subject=_optional_text(request, "subject", MAX_SUBJECT),
            priority=_priority(request),
            channel=channel,
            status=Status.RECEIVED,
            created_at=timestamp(_moment(execution_input, "receivedAt")),
            updated_at=timestamp(now),
            pending_since=timestamp(now),
            expires_at=int((now + timedelta(days=retention_days)).timestamp()) if retention_days else None,
        )

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """The ticket that a document describes.

        Raises:
            InvalidTicket: the document is not a ticket.
        """
        require_readable(document)
        _field(document, "content", str)
        names = {field.name for field in fields(cls)}
        values = {snake: value for key, value in document.items() if (snake := _snake(key)) in names}
        return cls(**values | {"status": Status(values["status"])})

    def to_document(self) -> dict[str, Any]:
        """The ticket as a JSON object."""
        return {_camel(name): value for name, value in asdict(self).items() if value is not None}

    @property
    def is_abandoned(self) -> bool:
        """Whether work is owed that nobody will do by themselves: an operator has to replay the ticket."""
        if self.waiting_since:
            return False
        unannounced = self.notified_at is None and self.pending_since is None
        return self.status is Status.FAILED or (self.status is Status.PROCESSED and unannounced)

    def is_leased(self, now: datetime) -> bool:
        """Whether an execution works on it."""
        return self.leased_until is not None and self.leased_until > timestamp(now)

    def was_ended_by(self, execution: str) -> bool:
        """Whether the execution has processed the ticket, or failed to."""
        return any(attempt["execution"] == execution for attempt in self.history or [])

    def was_failed_by(self, execution: str, error: str) -> bool:
        """Whether this failure of the execution is the latest that is recorded."""
        latest = self.history[-1] if self.history else None
        return latest is not None and (latest["execution"], latest["outcome"]) == (execution, error)

    def to_submission(self) -> dict[str, Any]:
        """An execution's input that starts this ticket's processing again."""
        optional = {"subject": self.subject, "priority": self.priority}
        request = {"content": self.content} | {name: value for name, value in optional.items() if value}
        key = {"idempotencyKey": self.idempotency_key} if self.idempotency_key else {}
        return {
            "ticketId": self.ticket_id,
            **key,
            "receivedAt": round(datetime.fromisoformat(self.created_at).timestamp() * 1000),
            "channel": self.channel,
            "caller": {"subject": self.customer_id, "groups": ""},
            "request": request,
        }

    def is_same_submission_as(self, other: Self) -> bool:
        """Whether both come from one submission, sent or started more than once, under whichever id."""
        return self.identity == other.identity

    def under_derived_id(self) -> Self:
        """The same submission's ticket for where another submission's ticket has its id.

        The new id depends on the submission alone, so that a repeat finds the ticket again. It is 32
        hexadecimal digits without hyphens: an Idempotency-Key is a UUID, so no caller can take it first.
        """
        digest = hashlib.sha256(json.dumps([self.ticket_id, *self.identity]).encode()).hexdigest()
        return replace(self, ticket_id=digest[:32], idempotency_key=self._submitted_id)

    @property
    def _submitted_id(self) -> str:
        return self.idempotency_key or self.ticket_id

    @property
    def identity(self) -> tuple[str | None, ...]:
        """What one submission's tickets have in common, whatever their ids."""
        return (self._submitted_id, self.customer_id, self.channel, self.subject, self.content)


_REQUIRED = ("ticketId", "customerId", "channel", "status", "createdAt", "updatedAt")
_KINDS: Mapping[type, tuple[str, ...]] = {
    str: (
        "content",
        "idempotencyKey",
        "subject",
        "priority",
        "urgency",
        "category",
        "assignee",
        "waitingFor",
        "leasedBy",
    ),
    int: ("version", "attempts", "expiresAt"),
    dict: ("analysis", "feedback", "failure", "dismissed"),
    list: ("history",),
}
_TIMES = ("createdAt", "updatedAt", "notifiedAt", "pendingSince", "waitingSince", "leasedUntil")


def require_readable(document: Mapping[str, Any]) -> None:
    """Make sure that a ticket's document or summary has the form in which the code writes it.

    Raises:
        InvalidTicket: a field has another form, or is missing; the message names it.
    """
    for name in _REQUIRED:
        _field(document, name, str)
    for kind, names in _KINDS.items():
        for name in names:
            if document.get(name) is not None:
                _field(document, name, kind)
    for name in _TIMES:
        if document.get(name) is not None and not _is_time(document[name]):
            raise InvalidTicket(f"{name} is not a time.")
    if document["status"] not in Status:
        raise InvalidTicket("status is not one that a ticket can have.")


def _is_time(value: object) -> bool:
    try:
        return datetime.fromisoformat(str(value)).tzinfo is not None
    except ValueError:
        return False


def for_customer(document: Mapping[str, Any]) -> dict[str, Any]:
    """A ticket's document or summary as its customer may see it, without AWS's words and other internals."""
    shown = {name: value for name, value in document.items() if name not in _INTERNAL}
    if failure := shown.get("failure"):
        shown["failure"] = {"error": failure["error"], "failedAt": failure["failedAt"]}
    return shown


def timestamp(moment: datetime) -> str:
    """The moment as ISO 8601 in UTC with milliseconds, e.g. `2026-01-31T12:00:00.000Z`; sorts as text."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ticket_id(execution_input: Mapping[str, Any]) -> str:
    ticket_id = _text(execution_input, "ticketId", MAX_TICKET_ID)
    if not _TICKET_ID.fullmatch(ticket_id):
        raise InvalidTicket("ticketId may hold letters, digits, - and _ only.")
    return ticket_id


def _customer(caller: Caller, channel: str, request: Mapping[str, Any]) -> str:
    if request.get("customerId") and caller.may_act_for_others(channel):
        return _text(request, "customerId", MAX_CUSTOMER_ID)
    return caller.subject


def _priority(request: Mapping[str, Any]) -> str | None:
    priority: str | None = request.get("priority")
    if priority not in (None, HIGH_PRIORITY):
        raise InvalidTicket(f"priority must be {HIGH_PRIORITY}, or left out.")
    return priority


def _moment(source: Mapping[str, Any], name: str) -> datetime:
    try:
        return datetime.fromtimestamp(_field(source, name, int) / 1000, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidTicket(f"{name} is no time in milliseconds since 1970.") from error


def _text(source: Mapping[str, Any], name: str, limit: int) -> str:
    text = cast(str, _field(source, name, str))
    if not 1 <= len(text) <= limit:
        raise InvalidTicket(f"{name} has {len(text)} characters; it needs 1 to {limit}.")
    return without_lone_surrogates(text)


def _optional_text(source: Mapping[str, Any], name: str, limit: int) -> str | None:
    return _text(source, name, limit) if source.get(name) else None


def without_lone_surrogates(text: str) -> str:
    r"""JSON may hold half a character (`"\ud800"`), which no store takes: U+FFFD beats a lost ticket."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _field(source: Mapping[str, Any], name: str, kind: type) -> Any:
    value = source.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InvalidTicket(f"{name} is missing or is not of type {kind.__name__}.")
    return value


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda capital: "_" + capital[0].lower(), name)


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)
