"""Searches tickets in the table's indexes, page by page."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from support.aws.error_translation import translate_errors
from support.aws.serialization import to_document, to_item
from support.aws.telemetry import logger
from support.aws.ticket_items import key
from support.domain.errors import InvalidTicket, StoreRejected, StoreUnavailable
from support.domain.plain_text import excerpt
from support.domain.search import Page, Position, Search
from support.domain.ticket_document import require_valid
from support.domain.ticket_types import Status

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# The maximum of summaries read per page: takes some tenths of a second, well below the function's timeout.
MAX_READ = 1_000
# Ends a page early, and without excerpts, when DynamoDB is slow; the read in progress may take as long as the
# client allows.
MAX_SECONDS = 3.0
_QUERY_LIMIT = 100
# Sort before and after every time.
_MIN_TIME, _MAX_TIME = "0", "9"


class TicketIndexes:
    """The indexes by status and by customer, which contain a summary of each ticket."""

    def __init__(self, client: DynamoDBClient, table_name: str) -> None:
        self._client = client
        self._name = table_name

    def search(self, search: Search) -> Page:
        """One page of the matching tickets' summaries, with the beginning of each content as `excerpt`.

        Reads at most MAX_READ summaries, for about MAX_SECONDS: when few tickets match, a page may be short
        or even empty and still have a position from which to continue. A ticket whose status changes while
        several statuses are read may be missing. A ticket that was deleted in the meantime has no excerpt;
        when DynamoDB is slow, no ticket has one.

        Raises:
            StoreUnavailable: a retry may succeed.
            StoreRejected: a retry cannot succeed.
        """
        started = time.monotonic()
        page = self._page(search, started)
        if page.summaries and not _is_late(started):
            self._add_excerpts(page.summaries)
        return page

    def _page(self, search: Search, started: float) -> Page:
        matches: list[dict[str, Any]] = []
        position: Position | None = None
        for read, summary in enumerate(self._newest_first(search)):
            must_end = read == MAX_READ or (position is not None and _is_late(started))
            if len(matches) == search.limit or must_end:
                return Page(matches, position)
            # A ticket whose status has just changed may be in two partitions for a moment.
            if search.matches(summary) and position != _position(summary):
                matches.append(summary)
            position = _position(summary)
        return Page(matches, None)

    def _add_excerpts(self, summaries: Sequence[dict[str, Any]]) -> None:
        """Add the excerpts in one call.

        The indexes do not contain the content: every write to a ticket would write it twice more, and
        CloudFormation cannot change what an index contains.
        """
        by_id = {summary["ticketId"]: summary for summary in summaries}
        with translate_errors(unavailable=StoreUnavailable, rejected=StoreRejected):
            found = self._client.batch_get_item(
                RequestItems={
                    self._name: {
                        "Keys": [key(ticket_id) for ticket_id in by_id],
                        "ProjectionExpression": "ticketId, content",
                    }
                }
            )
        for item in found["Responses"].get(self._name, []):
            # An unreadable ticket may have no content.
            if "S" in item.get("content", {}):
                by_id[item["ticketId"]["S"]]["excerpt"] = excerpt(item["content"]["S"])

    def _newest_first(self, search: Search) -> Iterator[dict[str, Any]]:
        """The summaries after the search's position, read lazily."""
        if search.customer_id is not None:
            return self._partition("ByCustomer", "customerId", search.customer_id, search)
        statuses = [search.status] if search.status else list(Status)
        partitions = [self._partition("ByStatus", "status", status, search) for status in statuses]
        return heapq.merge(*partitions, key=_position, reverse=True)

    def _partition(self, index: str, key: str, value: str, search: Search) -> Iterator[dict[str, Any]]:
        """One partition of an index. DynamoDB does not sort equal times, so this does."""
        for _, simultaneous in groupby(self._query(index, key, value, search), itemgetter("createdAt")):
            for summary in sorted(simultaneous, key=_position, reverse=True):
                if search.after is None or _position(summary) < search.after:
                    yield summary

    def _query(self, index: str, key: str, value: str, search: Search) -> Iterator[dict[str, Any]]:
        newest = min(
            search.created_before or _MAX_TIME, search.after.created_at if search.after else _MAX_TIME
        )
        oldest = search.created_after or _MIN_TIME
        arguments: dict[str, Any] = {
            "TableName": self._name,
            "IndexName": index,
            "KeyConditionExpression": "#key = :value AND createdAt BETWEEN :oldest AND :newest",
            "ExpressionAttributeNames": {"#key": key},
            "ExpressionAttributeValues": to_item({":value": value, ":oldest": oldest, ":newest": newest}),
            "ScanIndexForward": False,
            # Every item that is read costs money, and an analysis may be long: read only what the page needs.
            "Limit": _QUERY_LIMIT if search.filters_partitions else search.limit + 1,
        }
        if oldest > newest:
            return
        while True:
            with translate_errors(unavailable=StoreUnavailable, rejected=StoreRejected):
                page = self._client.query(**arguments)
            for summary in filter(None, map(_summary, page["Items"])):
                if summary["createdAt"] != search.created_before:
                    yield summary
            if "LastEvaluatedKey" not in page:
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _is_late(started: float) -> bool:
    return time.monotonic() - started > MAX_SECONDS


def _summary(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """The summary in an item; logs an unreadable one and returns None, so that the others are listed."""
    try:
        summary = to_document(item)
        require_valid(summary)
    except InvalidTicket as error:
        logger.error("ticket unreadable", ticketId=item["ticketId"]["S"], reason=str(error))
        return None
    return summary


def _position(summary: Mapping[str, Any]) -> Position:
    return Position(summary["createdAt"], summary["ticketId"])
