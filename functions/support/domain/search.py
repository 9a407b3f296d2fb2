"""A search for tickets: its filters, and the page where it continues. Newest first, then by ticket id."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from support.domain.ticket_types import Status

DEFAULT_LIMIT = 25


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A ticket's position in the order: its creation time (ISO 8601) and its id."""

    created_at: str
    ticket_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The filters of a search; None means any. `after` is the last position of the previous page."""

    customer_id: str | None = None
    status: Status | None = None
    urgency: str | None = None
    category: str | None = None
    needs_review: bool | None = None
    created_after: str | None = None
    created_before: str | None = None
    limit: int = DEFAULT_LIMIT
    after: Position | None = None

    @property
    def filters_partitions(self) -> bool:
        """Whether some tickets in the index partitions that the search reads do not match."""
        filters = (self.urgency, self.category, self.needs_review)
        filters_by_status = self.customer_id is not None and self.status is not None
        return filters_by_status or any(value is not None for value in filters)

    def matches(self, entry: Mapping[str, Any]) -> bool:
        """Whether a ticket's entry in an index passes the filters, except those on customer and time."""
        expected = {
            "status": self.status,
            "urgency": self.urgency,
            "category": self.category,
            "needsReview": self.needs_review,
        }
        return all(value is None or entry.get(name) == value for name, value in expected.items())


@dataclass(frozen=True, slots=True)
class Page:
    """One page of results; `position` is where the next page starts, None on the last page."""

    summaries: list[dict[str, Any]]
    position: Position | None
