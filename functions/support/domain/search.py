"""A search among tickets: whose, which, and where it goes on. Newest first, equal times by ticket id."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from support.domain.analysis import URGENCIES
from support.domain.refusals import InvalidRequest
from support.domain.request_fields import one_of, text
from support.domain.ticket import Status, timestamp

MAX_LIMIT = 100
DEFAULT_LIMIT = 25
MAX_CURSOR = 1_000


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A ticket's place in the order: its time (ISO 8601) and its id."""

    created_at: str
    ticket_id: str

    @classmethod
    def from_cursor(cls, cursor: str) -> Self:
        """The position in a cursor.

        Raises:
            InvalidRequest: there is none in it.
        """
        try:
            created_at, ticket_id = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
            return cls(timestamp(datetime.fromisoformat(created_at)), str(ticket_id))
        except (ValueError, TypeError, RecursionError, OverflowError):
            raise InvalidRequest("cursor is not one that an answer held: begin again without it.") from None

    @property
    def cursor(self) -> str:
        """The position as text that means nothing to anybody else."""
        return base64.urlsafe_b64encode(json.dumps([self.created_at, self.ticket_id]).encode()).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which tickets are asked for; None is for any. `customer_id` None means everybody's."""

    customer_id: str | None = None
    status: Status | None = None
    urgency: str | None = None
    category: str | None = None
    needs_review: bool | None = None
    created_after: str | None = None
    created_before: str | None = None
    limit: int = DEFAULT_LIMIT
    after: Position | None = None

    @classmethod
    def from_query(cls, query: Mapping[str, str], *, customer_id: str | None) -> Self:
        """The search that a request's query parameters describe; unknown ones are ignored.

        Raises:
            InvalidRequest: a value is not valid; the message names the parameter.
        """
        status = one_of(query, "status", list(Status))
        needs_review = one_of(query, "needsReview", ("true", "false"))
        cursor = text(query, "cursor", 1, MAX_CURSOR)
        return cls(
            customer_id=customer_id,
            status=Status(status) if status else None,
            urgency=one_of(query, "urgency", URGENCIES),
            category=text(query, "category", 1, 64),
            needs_review=None if needs_review is None else needs_review == "true",
            created_after=_time(query, "createdAfter"),
            created_before=_time(query, "createdBefore"),
            limit=_limit(query.get("limit", str(DEFAULT_LIMIT))),
            after=Position.from_cursor(cursor) if cursor else None,
        )

    @property
    def leaves_out(self) -> bool:
        """Whether it passes over tickets in the partitions of the index that it reads."""
        inside = (self.urgency, self.category, self.needs_review)
        by_status = self.customer_id is not None and self.status is not None
        return by_status or any(value is not None for value in inside)

    def finds(self, summary: Mapping[str, Any]) -> bool:
        """Whether a ticket's summary is among those asked for, whatever its time and whosever it is."""
        wanted = {
            "status": self.status,
            "urgency": self.urgency,
            "category": self.category,
            "needsReview": self.needs_review,
        }
        has = {**summary, "needsReview": summary.get("analysis", {}).get("needsReview")}
        return all(value is None or has.get(name) == value for name, value in wanted.items())


@dataclass(frozen=True, slots=True)
class Page:
    """Some of what a search found, as summaries, and the position after which there may be more."""

    summaries: list[dict[str, Any]]
    position: Position | None

    def to_document(self) -> dict[str, Any]:
        """The page as a JSON object."""
        return {"tickets": self.summaries} | ({"cursor": self.position.cursor} if self.position else {})


def _limit(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < 4 and 1 <= int(value) <= MAX_LIMIT):
        raise InvalidRequest(f"limit must be a whole number from 1 to {MAX_LIMIT}.")
    return int(value)


def _time(query: Mapping[str, str], name: str) -> str | None:
    if name not in query:
        return None
    try:
        moment = datetime.fromisoformat(query[name])
        # A moment near year 1 or 9999 has none in UTC.
        # Tickets' times are whole milliseconds: up to the next, a moment between two parts them as before.
        moment += timedelta(microseconds=-moment.microsecond % 1000)
        return timestamp(moment) if moment.tzinfo else _no_time(name)
    except (ValueError, OverflowError):
        return _no_time(name)


def _no_time(name: str) -> str:
    raise InvalidRequest(f"{name} must be a time with its zone, such as 2026-01-31T12:00:00Z.")
