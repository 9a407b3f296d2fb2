"""A ticket, from submission to notification.

In the code a ticket is a frozen dataclass. Between the steps, in the table and in the API it is a *document*:
a JSON object with the camelCase names of the contract, without the fields that have no value.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from support.domain.caller import Caller
from support.domain.errors import InvalidTicket
from support.domain.ticket_document import camel_case, require_valid
from support.domain.ticket_fields import epoch_milliseconds, field, optional_text, text
from support.domain.ticket_types import Analysis, Attempt, Dismissal, Failure, Feedback, Reply, Status

MAX_CONTENT = 8_000
MAX_SUBJECT = 200
MAX_CUSTOMER_ID = 128
# The only value of `priority`; a ticket without priority has no such field.
HIGH_PRIORITY = "high"
# An execution's name has at most 80 characters; it is the ticket id, `-r` and eight more characters.
MAX_TICKET_ID = 64
_TICKET_ID = re.compile(r"[A-Za-z0-9_-]+")
# More writes than a ticket ever gets; DynamoDB rejects numbers of more than 38 digits.
MAX_VERSION = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One support ticket. Times are ISO 8601 in UTC; `expires_at` is in epoch seconds for DynamoDB's TTL.

    - `version` increases with every change that an agent must see before changing the ticket: another
      agent's change, and the pipeline's changes of status and analysis.
    - `urgency` and `category` are the model's until an agent corrects them; `analysis` keeps the model's.
    - `reply` is the reply that an agent approved. `analysis` keeps the model's draft.
    - `idempotency_key` is the submitted id of a ticket that is stored under a derived one, because another
      submission's ticket had the submitted id.
    - `priority` is `high` if a service asked for it. It is not part of the submission's identity.
    - `leased_by` is the execution that processes the ticket, at most until `leased_until`.
    - `waiting_since` and `waiting_for` (an error's name, or what put the ticket there) are set while the
      ticket is in the waiting room.
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
    reply: Reply | None = None
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
        """The new ticket in an execution's input; with `retention_days` 0 it never expires.

        Raises:
            InvalidTicket: a field is missing or invalid; the message names it.
        """
        request = field(execution_input, "request", Mapping)
        caller = Caller.from_document(field(execution_input, "caller", Mapping))
        channel = field(execution_input, "channel", str)
        return cls(
            ticket_id=_ticket_id(execution_input),
            idempotency_key=optional_text(execution_input, "idempotencyKey", MAX_TICKET_ID),
            customer_id=_customer_id(caller, channel, request),
            content=text(request, "content", MAX_CONTENT),
            subject=optional_text(request, "subject", MAX_SUBJECT),
            priority=_priority(request),
            channel=channel,
            status=Status.RECEIVED,
            created_at=timestamp(epoch_milliseconds(execution_input, "receivedAt")),
            updated_at=timestamp(now),
            pending_since=timestamp(now),
            expires_at=int((now + timedelta(days=retention_days)).timestamp()) if retention_days else None,
        )

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """The ticket in a document; unknown fields are ignored.

        Raises:
            InvalidTicket: the document is not a ticket.
        """
        require_valid(document)
        field(document, "content", str)
        values = {name: document[key] for name, key in _FIELD_NAMES.items() if key in document}
        return cls(**values | {"status": Status(values["status"])})

    def to_document(self) -> dict[str, Any]:
        """The ticket as a JSON object."""
        # asdict would copy every value deeply.
        values = ((field_name, getattr(self, name)) for name, field_name in _FIELD_NAMES.items())
        return {field_name: value for field_name, value in values if value is not None}

    @property
    def needs_replay(self) -> bool:
        """Whether the ticket is unfinished and only a replay continues it."""
        if self.waiting_since:
            return False
        was_given_up = self.notified_at is None and self.pending_since is None
        return self.status is Status.FAILED or (self.status is Status.PROCESSED and was_given_up)

    def age_in_milliseconds(self, now: datetime) -> int:
        """The time since the ticket was received; 0 if the clocks of two machines disagree."""
        return max(0, round((now - datetime.fromisoformat(self.created_at)).total_seconds() * 1000))

    def is_leased(self, now: datetime) -> bool:
        """Whether an execution may be processing the ticket."""
        return self.leased_until is not None and self.leased_until > timestamp(now)

    def was_ended_by(self, execution: str) -> bool:
        """Whether the history contains the execution, as a success or a failure."""
        return any(attempt["execution"] == execution for attempt in self.history or [])

    def was_failed_by(self, execution: str, error: str) -> bool:
        """Whether the latest attempt in the history is this failure of this execution."""
        latest = self.history[-1] if self.history else None
        return latest is not None and (latest["execution"], latest["outcome"]) == (execution, error)

    def to_submission(self) -> dict[str, Any]:
        """The execution input that processes this ticket again."""
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
        """Whether both tickets come from one submission, whatever their ids."""
        return self.identity == other.identity

    def with_derived_id(self) -> Self:
        """The ticket with another id, for when another submission's ticket has its id.

        The new id depends only on the submission, so that a repeated execution finds the ticket. It has 32
        hexadecimal digits and no hyphens, so no caller can submit it: an Idempotency-Key is a UUID.
        """
        digest = hashlib.sha256(json.dumps([self.ticket_id, *self.identity]).encode()).hexdigest()
        return replace(self, ticket_id=digest[:32], idempotency_key=self._submitted_id)

    @property
    def _submitted_id(self) -> str:
        return self.idempotency_key or self.ticket_id

    @property
    def identity(self) -> tuple[str | None, ...]:
        """The values that identify a submission, whatever id its ticket has."""
        return (self._submitted_id, self.customer_id, self.channel, self.subject, self.content)


# The field of the document for each attribute.
_FIELD_NAMES = {attribute.name: camel_case(attribute.name) for attribute in fields(Ticket)}


def timestamp(moment: datetime) -> str:
    """The time in ISO 8601, UTC, with milliseconds, e.g. `2026-01-31T12:00:00.000Z`; sorts as text."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ticket_id(execution_input: Mapping[str, Any]) -> str:
    ticket_id = text(execution_input, "ticketId", MAX_TICKET_ID)
    if not _TICKET_ID.fullmatch(ticket_id):
        raise InvalidTicket("ticketId must contain only letters, digits, - and _.")
    return ticket_id


def _customer_id(caller: Caller, channel: str, request: Mapping[str, Any]) -> str:
    if request.get("customerId") and caller.may_act_for_others(channel):
        return text(request, "customerId", MAX_CUSTOMER_ID)
    return caller.subject


def _priority(request: Mapping[str, Any]) -> str | None:
    priority: str | None = request.get("priority")
    if priority not in (None, HIGH_PRIORITY):
        raise InvalidTicket(f"priority must be {HIGH_PRIORITY} or absent.")
    return priority
