"""The query parameters of a search, and the cursor with which it continues."""

import base64
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from support.api.request_fields import one_of, text
from support.domain.analysis_schema import URGENCIES
from support.domain.refusals import InvalidRequest
from support.domain.search import DEFAULT_LIMIT, Position, Search
from support.domain.ticket import timestamp
from support.domain.ticket_types import Status

MAX_LIMIT = 100
MAX_CURSOR = 1_000


def parse_search(query: Mapping[str, str], *, customer_id: str | None) -> Search:
    """The search that a request's query parameters describe; unknown parameters are ignored.

    Raises:
        InvalidRequest: a value is invalid; the message names the parameter.
    """
    status = one_of(query, "status", list(Status))
    needs_review = one_of(query, "needsReview", ("true", "false"))
    cursor = text(query, "cursor", 1, MAX_CURSOR)
    return Search(
        customer_id=customer_id,
        status=Status(status) if status else None,
        urgency=one_of(query, "urgency", URGENCIES),
        category=text(query, "category", 1, 64),
        needs_review=None if needs_review is None else needs_review == "true",
        created_after=_time(query, "createdAfter"),
        created_before=_time(query, "createdBefore"),
        limit=_limit(query.get("limit", str(DEFAULT_LIMIT))),
        after=decode_cursor(cursor) if cursor else None,
    )


def encode_cursor(position: Position) -> str:
    """The position as an opaque string."""
    return base64.urlsafe_b64encode(json.dumps([position.created_at, position.ticket_id]).encode()).decode()


def decode_cursor(cursor: str) -> Position:
    """The position in a cursor.

    Raises:
        InvalidRequest: the cursor is invalid.
    """
    try:
        created_at, ticket_id = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
        return Position(timestamp(datetime.fromisoformat(created_at)), str(ticket_id))
    except (ValueError, TypeError, RecursionError, OverflowError):
        raise InvalidRequest("cursor is invalid: start the search again without it.") from None


def _limit(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < 4 and 1 <= int(value) <= MAX_LIMIT):
        raise InvalidRequest(f"limit must be an integer from 1 to {MAX_LIMIT}.")
    return int(value)


def _time(query: Mapping[str, str], name: str) -> str | None:
    if name not in query:
        return None
    # OverflowError: the time in UTC is before year 1 or after year 9999.
    with suppress(ValueError, OverflowError):
        moment = datetime.fromisoformat(query[name])
        if moment.tzinfo:
            # Round up: stored times have millisecond precision.
            return timestamp(moment + timedelta(microseconds=-moment.microsecond % 1000))
    raise InvalidRequest(f"{name} must be a time with a time zone, such as 2026-01-31T12:00:00Z.")
