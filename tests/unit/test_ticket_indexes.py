"""Searches over several pages: no ticket is listed twice or missing, whatever changes between the pages."""

import io
import json
import os
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.api.search_query import decode_cursor, encode_cursor, parse_search
from support.aws import clients
from support.aws import ticket_indexes as indexes
from support.aws.index_keys import shard, shards, status_shard, status_shards
from support.aws.table import TicketTable
from support.aws.ticket_indexes import TicketIndexes
from support.aws.ticket_items import as_item
from support.domain.search import Search
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Analysis, Status

EVENTS = Path(__file__).parents[2] / "events"
DOCUMENT = json.loads((EVENTS / "update" / "analysis.json").read_text())["ticket"]
ANALYSIS: Analysis = DOCUMENT["analysis"]
TICKETS = 15
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def tickets(aws: None) -> TicketTable:
    """Fifteen tickets of two customers, in every status; always three have the same creation time."""
    client, table = clients.dynamodb(), os.environ["TICKETS_TABLE"]
    puts = [{"PutRequest": {"Item": as_item(a_ticket(number))}} for number in range(TICKETS)]
    client.batch_write_item(RequestItems={table: puts})  # type: ignore[dict-item]
    return TicketTable(client, table)


def a_ticket(number: int) -> Ticket:
    status = list(Status)[number % len(Status)]
    analysis: Analysis = {**ANALYSIS, "needsReview": number % 4 == 0}
    return replace(
        Ticket.from_document(DOCUMENT),
        # The order of the ids differs from the order of the times.
        ticket_id=f"{number * 7 % TICKETS:02}",
        customer_id=f"customer-{number % 2}",
        status=status,
        created_at=timestamp(NOW + timedelta(minutes=number // 3)),
        urgency="HIGH" if number % 3 else "LOW",
        category="BILLING" if number % 5 else "OTHER",
        analysis=None if status is Status.RECEIVED else analysis,
    )


def expected(condition: Callable[[Ticket], bool]) -> list[str]:
    matching = [ticket for ticket in map(a_ticket, range(TICKETS)) if condition(ticket)]
    ordered = sorted(matching, key=lambda ticket: (ticket.created_at, ticket.ticket_id), reverse=True)
    return [ticket.ticket_id for ticket in ordered]


def read_all(search: Search, between: Callable[[int], None] = lambda _: None) -> list[str]:
    """The ids on all pages, in order."""
    find_page = TicketIndexes(clients.dynamodb(), os.environ["TICKETS_TABLE"]).search
    ids: list[str] = []
    for number in range(100):
        page = find_page(search)
        assert len(page.summaries) <= search.limit
        ids += [summary["ticketId"] for summary in page.summaries]
        if page.position is None:
            return ids
        search = replace(search, after=decode_cursor(encode_cursor(page.position)))
        between(number)
    raise AssertionError("there is no last page")


CONDITIONS: dict[str, tuple[Search, Callable[[Ticket], bool]]] = {
    "all": (Search(), lambda ticket: True),
    "of a customer": (Search(customer_id="customer-1"), lambda t: t.customer_id == "customer-1"),
    "by status": (Search(status=Status.FAILED), lambda t: t.status is Status.FAILED),
    "of a customer by status": (
        Search(customer_id="customer-0", status=Status.PROCESSED),
        lambda t: t.customer_id == "customer-0" and t.status is Status.PROCESSED,
    ),
    "by urgency": (Search(urgency="LOW"), lambda t: t.urgency == "LOW"),
    "by category": (Search(category="OTHER"), lambda t: t.category == "OTHER"),
    "to review": (Search(needs_review=True), lambda t: bool(t.analysis and t.analysis["needsReview"])),
    "not to review": (
        Search(needs_review=False),
        lambda t: t.analysis is not None and not t.analysis["needsReview"],
    ),
    "since": (
        Search(created_after=timestamp(NOW + timedelta(minutes=4))),
        lambda t: t.created_at >= timestamp(NOW + timedelta(minutes=4)),
    ),
    "until": (
        Search(created_before=timestamp(NOW + timedelta(minutes=4))),
        lambda t: t.created_at < timestamp(NOW + timedelta(minutes=4)),
    ),
    "no time": (Search(created_after=timestamp(NOW), created_before=timestamp(NOW)), lambda t: False),
    "empty period": (
        Search(created_after=timestamp(NOW + timedelta(days=1)), created_before=timestamp(NOW)),
        lambda t: False,
    ),
}


# All searches share the tickets: to store them takes longer than most searches.
@pytest.mark.parametrize("limit", [2, 100])
def test_the_pages_contain_each_matching_ticket_once_newest_first(tickets: TicketTable, limit: int) -> None:
    for name, (search, condition) in CONDITIONS.items():
        assert read_all(replace(search, limit=limit)) == expected(condition), name


def test_a_page_may_contain_a_single_ticket(tickets: TicketTable) -> None:
    assert read_all(Search(limit=1)) == expected(lambda ticket: True)


@pytest.mark.parametrize(
    ("name", "expected_count"), [("createdAfter", 0), ("createdBefore", 1)], ids=["after it", "before"]
)
def test_a_time_between_two_milliseconds_separates_them(aws: None, name: str, expected_count: int) -> None:
    store = TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])
    store.add(a_ticket(0))
    just_after = (NOW + timedelta(microseconds=1)).isoformat()
    search = parse_search({name: just_after}, customer_id=None)

    assert len(read_all(search)) == expected_count


def test_a_search_with_few_matches_continues_after_empty_pages(
    tickets: TicketTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "MAX_READ", 2)

    assert read_all(Search(category="OTHER")) == expected(lambda ticket: ticket.category == "OTHER")


def test_a_slow_table_gives_short_pages_without_losing_tickets(
    tickets: TicketTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "MAX_SECONDS", -1.0)

    assert read_all(Search()) == expected(lambda ticket: True)


def test_the_results_do_not_depend_on_the_size_of_the_queries(
    tickets: TicketTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "_QUERY_LIMIT", 1)

    assert read_all(Search(limit=4)) == expected(lambda ticket: True)


def test_tickets_that_are_added_or_changed_between_pages_do_not_shift_the_pages(tickets: TicketTable) -> None:
    def meanwhile(page: int) -> None:
        tickets.add(
            replace(a_ticket(0), ticket_id=f"new-{page}", created_at=timestamp(NOW + timedelta(days=1)))
        )
        tickets.record_analysis(f"{page:02}", ANALYSIS, execution_name="e", now=NOW)

    assert read_all(Search(limit=3), between=meanwhile) == expected(lambda ticket: True)


def test_tickets_that_dynamodb_leaves_out_are_read_again(tickets: TicketTable) -> None:
    class Partial:
        """Returns one ticket per call, as DynamoDB may when the table is throttled."""

        query = clients.dynamodb().query

        @staticmethod
        def batch_get_item(RequestItems: dict[str, Any]) -> Any:  # noqa: N803
            ((table, request),) = RequestItems.items()
            first, rest = request["Keys"][:1], request["Keys"][1:]
            response = clients.dynamodb().batch_get_item(RequestItems={table: request | {"Keys": first}})
            return response | {"UnprocessedKeys": {table: request | {"Keys": rest}} if rest else {}}

    page = TicketIndexes(Partial(), os.environ["TICKETS_TABLE"]).search(Search(limit=5))  # type: ignore[arg-type]

    assert [summary["ticketId"] for summary in page.summaries] == expected(lambda ticket: True)[:5]


@pytest.mark.parametrize("keys", [shards(), status_shards(Status.PROCESSED)], ids=["by time", "by status"])
def test_tickets_are_spread_evenly_over_the_partitions(keys: list[str]) -> None:
    ids = [str(uuid.uuid5(uuid.NAMESPACE_URL, str(number))) for number in range(4_000)]
    find = shard if keys == shards() else partial(status_shard, Status.PROCESSED)

    counts = Counter(map(find, ids))

    assert set(counts) == set(keys)
    assert max(counts.values()) < 1.1 * len(ids) / len(keys)


BROKEN: list[tuple[str, Any]] = [
    ("analysis", {"S": "none"}),
    ("analysis", {"M": {"tags": {"SS": ["a"]}}}),
    ("createdAt", {"S": "5"}),
    ("customerId", None),
    ("subject", {"B": b"x"}),
    ("updatedAt", None),
]


def test_unreadable_tickets_are_omitted_from_lists(tickets: TicketTable, log: io.StringIO) -> None:
    searches = [Search(), Search(status=Status.FAILED, needs_review=False)]
    before = [read_all(search) for search in searches]
    for number, attribute in enumerate(BROKEN):
        ticket = replace(a_ticket(0), ticket_id=f"broken-{number}", status=Status.FAILED, analysis=ANALYSIS)
        item = as_item(ticket) | dict([attribute])
        present = {name: value for name, value in item.items() if value is not None}
        clients.dynamodb().put_item(TableName=os.environ["TICKETS_TABLE"], Item=present)

    assert [read_all(search) for search in searches] == before
    logged = {json.loads(line)["ticketId"] for line in log.getvalue().splitlines()}
    assert logged == {f"broken-{number}" for number in range(len(BROKEN))}
