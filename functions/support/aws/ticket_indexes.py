"""Searches tickets in the table's indexes, page by page."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from support.aws.error_translation import translate_errors
from support.aws.index_keys import shards, status_shards
from support.aws.serialization import to_document, to_item
from support.aws.telemetry import logger
from support.aws.ticket_items import key
from support.domain.errors import InvalidTicket, StoreRejected, StoreUnavailable
from support.domain.plain_text import excerpt
from support.domain.search import Page, Position, Search
from support.domain.ticket_document import require_valid
from support.domain.ticket_fields import is_time

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# The maximum of entries read per page: takes some tenths of a second, well below the function's timeout.
MAX_READ = 1_000
# Ends a page early when DynamoDB is slow; the read in progress may take as long as the client allows.
MAX_SECONDS = 3.0
_QUERY_LIMIT = 100
# Sort before and after every time.
_MIN_TIME, _MAX_TIME = "0", "9"
SUMMARY_FIELDS = (
    "ticketId",
    "customerId",
    "subject",
    "content",
    "channel",
    "status",
    "createdAt",
    "updatedAt",
    "version",
    "urgency",
    "category",
    "assignee",
    "analysis",
    "idempotencyKey",
)


class TicketIndexes:
    """The indexes by time, by status and by customer.

    An entry holds what the filters need, no more: most writes to a ticket then change no index, and those
    that do cost one write unit each. The page's summaries come from the table.
    """

    def __init__(self, client: DynamoDBClient, table_name: str) -> None:
        self._client = client
        self._name = table_name

    def search(self, search: Search) -> Page:
        """One page of the matching tickets' summaries, with the beginning of each content as `excerpt`.

        Reads at most MAX_READ entries, for about MAX_SECONDS: when few tickets match, a page may be short
        or even empty and still have a position from which to continue. The indexes are eventually
        consistent: for a moment, a ticket that has just changed is found by its former status.

        Raises:
            StoreUnavailable: a retry may succeed.
            StoreRejected: a retry cannot succeed.
        """
        found, position = self._find(search)
        return Page(self._summaries([entry.ticket_id for entry in found]), position)

    def _find(self, search: Search) -> tuple[list[Position], Position | None]:
        """The positions of a page's tickets, and where the next page starts."""
        started = time.monotonic()
        found: list[Position] = []
        position: Position | None = None
        for read, entry in enumerate(self._newest_first(search)):
            is_late = time.monotonic() - started > MAX_SECONDS
            if len(found) == search.limit or read == MAX_READ or (position and is_late):
                return found, position
            position = _position(entry)
            if search.matches(entry):
                found.append(position)
        return found, None

    def _newest_first(self, search: Search) -> Iterator[dict[str, Any]]:
        """The entries after the search's position, read lazily."""
        if search.customer_id is not None:
            return self._partition("ByCustomer", "customerId", search.customer_id, search)
        if search.status:
            index, key_name, keys = "ByStatus", "statusShard", status_shards(search.status)
        else:
            index, key_name, keys = "ByTime", "shard", shards()
        partitions = [self._partition(index, key_name, key, search) for key in keys]
        return heapq.merge(*partitions, key=_position, reverse=True)

    def _partition(self, index: str, key_name: str, key: str, search: Search) -> Iterator[dict[str, Any]]:
        """One partition of an index. DynamoDB does not sort equal times, so this does."""
        entries = self._query(index, key_name, key, search)
        for _, simultaneous in groupby(entries, itemgetter("createdAt")):
            for entry in sorted(simultaneous, key=_position, reverse=True):
                if search.after is None or _position(entry) < search.after:
                    yield entry

    def _query(self, index: str, key_name: str, key: str, search: Search) -> Iterator[dict[str, Any]]:
        newest = min(
            search.created_before or _MAX_TIME, search.after.created_at if search.after else _MAX_TIME
        )
        oldest = search.created_after or _MIN_TIME
        arguments: dict[str, Any] = {
            "TableName": self._name,
            "IndexName": index,
            "KeyConditionExpression": "#key = :key AND createdAt BETWEEN :oldest AND :newest",
            "ExpressionAttributeNames": {"#key": key_name},
            "ExpressionAttributeValues": to_item({":key": key, ":oldest": oldest, ":newest": newest}),
            "ScanIndexForward": False,
            # Every entry that is read costs money: read only what the page needs.
            "Limit": _QUERY_LIMIT if search.filters_partitions else search.limit + 1,
        }
        if oldest > newest:
            return
        while True:
            with translate_errors(unavailable=StoreUnavailable, rejected=StoreRejected):
                page = self._client.query(**arguments)
            for entry in filter(None, map(_entry, page["Items"])):
                if entry["createdAt"] != search.created_before:
                    yield entry
            if "LastEvaluatedKey" not in page:
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _summaries(self, ticket_ids: Sequence[str]) -> list[dict[str, Any]]:
        """The summaries of these tickets, without deleted and unreadable tickets."""
        items = {item["ticketId"]["S"]: item for item in self._read(ticket_ids)}
        found = (items[ticket_id] for ticket_id in ticket_ids if ticket_id in items)
        return list(filter(None, map(_summary, found)))

    def _read(self, ticket_ids: Sequence[str]) -> Iterator[dict[str, Any]]:
        keys: Any = [key(ticket_id) for ticket_id in ticket_ids]
        names = {f"#{name}": name for name in SUMMARY_FIELDS}
        # DynamoDB returns at least one item per call, or fails.
        while keys:
            with translate_errors(unavailable=StoreUnavailable, rejected=StoreRejected):
                page = self._client.batch_get_item(
                    RequestItems={
                        self._name: {
                            "Keys": keys,
                            "ProjectionExpression": ", ".join(names),
                            "ExpressionAttributeNames": names,
                        }
                    }
                )
            yield from page["Responses"][self._name]
            unprocessed = page["UnprocessedKeys"].get(self._name)
            keys = unprocessed["Keys"] if unprocessed else []


def _entry(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """An index's entry; logs an unreadable one and returns None."""
    entry = to_document(item)
    if not is_time(entry["createdAt"]):
        _log_unreadable(entry["ticketId"], "createdAt is not a time.")
        return None
    return entry


def _summary(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """The summary in an item; logs an unreadable one and returns None, so that the others are listed."""
    try:
        summary = to_document(item)
        require_valid(summary)
    except InvalidTicket as error:
        _log_unreadable(item["ticketId"]["S"], str(error))
        return None
    # An unreadable ticket may have no content.
    if content := summary.pop("content", None):
        summary["excerpt"] = excerpt(content)
    return summary


def _log_unreadable(ticket_id: str, reason: str) -> None:
    logger.error("ticket unreadable", ticketId=ticket_id, reason=reason)


def _position(entry: Mapping[str, Any]) -> Position:
    return Position(entry["createdAt"], entry["ticketId"])
