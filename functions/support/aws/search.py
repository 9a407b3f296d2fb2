"""Searching tickets by the table's indexes, page by page."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from support.aws.errors import translated
from support.aws.items import to_document, to_item
from support.aws.telemetry import logger
from support.domain.errors import InvalidTicket, StoreRejected, StoreUnavailable
from support.domain.search import Page, Position, Search
from support.domain.ticket import Status, require_readable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Summaries that one search reads: some tenths of a second, well below the function's time-out.
MAX_READ = 1_000
# For when DynamoDB is slow. What was begun by then may take as long as the clients allow.
MAX_SECONDS = 3.0
_READ_AT_ONCE = 100
# Before and after every time that a ticket can have.
_ALWAYS, _NEVER = "0", "9"


class TicketIndexes:
    """The tickets table's indexes by status and by customer, which hold a summary of each ticket."""

    def __init__(self, client: DynamoDBClient, table_name: str) -> None:
        self._client = client
        self._name = table_name

    def search(self, search: Search) -> Page:
        """One page of the tickets that a search finds, as the indexes show them.

        It reads at most MAX_READ summaries, and for about MAX_SECONDS: the page of a search that finds few
        may be short, or even empty, and still have a position from which to go on. A ticket whose status
        changes while several statuses are read may be left out.

        Raises:
            StoreUnavailable: a repeat may succeed.
            StoreRejected: it cannot.
        """
        found: list[dict[str, Any]] = []
        position: Position | None = None
        began = time.monotonic()
        for read, summary in enumerate(self._newest_first(search)):
            is_late = position is not None and time.monotonic() - began > MAX_SECONDS
            if len(found) == search.limit or read == MAX_READ or is_late:
                return Page(found, position)
            # A ticket that has just changed its status may for a moment be in two partitions.
            if search.finds(summary) and position != _position(summary):
                found.append(summary)
            position = _position(summary)
        return Page(found, None)

    def _newest_first(self, search: Search) -> Iterator[dict[str, Any]]:
        """The summaries after the search's position, in its order, read as they are asked for."""
        if search.customer_id is not None:
            return self._partition("ByCustomer", "customerId", search.customer_id, search)
        statuses = [search.status] if search.status else list(Status)
        partitions = [self._partition("ByStatus", "status", status, search) for status in statuses]
        return heapq.merge(*partitions, key=_position, reverse=True)

    def _partition(self, index: str, key: str, value: str, search: Search) -> Iterator[dict[str, Any]]:
        """One partition of an index. DynamoDB does not order equal times, so they are ordered here."""
        for _, simultaneous in groupby(self._read(index, key, value, search), itemgetter("createdAt")):
            for summary in sorted(simultaneous, key=_position, reverse=True):
                if search.after is None or _position(summary) < search.after:
                    yield summary

    def _read(self, index: str, key: str, value: str, search: Search) -> Iterator[dict[str, Any]]:
        newest = min(search.created_before or _NEVER, search.after.created_at if search.after else _NEVER)
        oldest = search.created_after or _ALWAYS
        arguments: dict[str, Any] = {
            "TableName": self._name,
            "IndexName": index,
            "KeyConditionExpression": "#key = :value AND createdAt BETWEEN :oldest AND :newest",
            "ExpressionAttributeNames": {"#key": key},
            "ExpressionAttributeValues": to_item({":value": value, ":oldest": oldest, ":newest": newest}),
            "ScanIndexForward": False,
            # A page that needs no more is not paid for: an analysis may be long.
            "Limit": _READ_AT_ONCE if search.leaves_out else search.limit + 1,
        }
        if oldest > newest:
            return
        while True:
            with translated(unavailable=StoreUnavailable, rejected=StoreRejected):
                page = self._client.query(**arguments)
            for summary in filter(None, map(_summary, page["Items"])):
                if summary["createdAt"] != search.created_before:
                    yield summary
            if "LastEvaluatedKey" not in page:
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _summary(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """The summary in an item; None, and a line in the log, when it is unreadable: the others are listed."""
    try:
        summary = to_document(item)
        require_readable(summary)
    except InvalidTicket as error:
        logger.error("ticket unreadable", ticketId=item["ticketId"]["S"], reason=str(error))
        return None
    return summary


def _position(summary: Mapping[str, Any]) -> Position:
    return Position(summary["createdAt"], summary["ticketId"])
