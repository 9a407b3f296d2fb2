"""Queries on an index: every page has the entries that DynamoDB would return, whatever has changed before."""

from collections.abc import Iterator
from typing import Any

import pytest

from devtools.emulator.tests.harness import Emulator

KEY = {"AttributeName": "id", "KeyType": "HASH"}
INDEX_KEYS = [{"AttributeName": "kind", "KeyType": "HASH"}, {"AttributeName": "moment", "KeyType": "RANGE"}]
# Always three items have the same sort key; the order of the ids differs from the order of the times.
ITEMS = {f"{number * 7 % 20:02}": f"{number // 3:02}" for number in range(20)}


class Table:
    """A table with an index by kind and time."""

    def __init__(self, emulator: Emulator) -> None:
        self.client = emulator.client("dynamodb")
        self.name = "items"
        self.client.create_table(
            TableName=self.name,
            KeySchema=[KEY],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("id", "kind", "moment")
            ],
            GlobalSecondaryIndexes=[
                {"IndexName": "ByKind", "KeySchema": INDEX_KEYS, "Projection": {"ProjectionType": "ALL"}}
            ],
            BillingMode="PAY_PER_REQUEST",
        )

    def put(self, item_id: str, at: str, kind: str = "a") -> None:
        item = {"id": {"S": item_id}, "kind": {"S": kind}, "moment": {"S": at}}
        self.client.put_item(TableName=self.name, Item=item)

    def read_all(self, first: str, last: str, *, limit: int, forward: bool) -> list[str]:
        """The ids on all pages of a query."""
        query: dict[str, Any] = {
            "TableName": self.name,
            "IndexName": "ByKind",
            "KeyConditionExpression": "#kind = :kind AND moment BETWEEN :first AND :last",
            "ExpressionAttributeNames": {"#kind": "kind"},
            "ExpressionAttributeValues": {":kind": {"S": "a"}, ":first": {"S": first}, ":last": {"S": last}},
            "ScanIndexForward": forward,
            "Limit": limit,
        }
        ids: list[str] = []
        while True:
            page = self.client.query(**query)
            assert len(page["Items"]) <= limit
            ids += [item["id"]["S"] for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return ids
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]


@pytest.fixture
def table(emulator: Emulator) -> Iterator[Table]:
    """A table with twenty items, and one of another kind."""
    table = Table(emulator)
    for item_id, at in ITEMS.items():
        table.put(item_id, at)
    table.put("other", "01", kind="b")
    yield table
    table.client.delete_table(TableName=table.name)


def expected(items: dict[str, str], first: str, last: str, *, forward: bool) -> list[str]:
    entries = sorted(((at, item_id) for item_id, at in items.items() if first <= at <= last))
    return [item_id for _, item_id in (entries if forward else reversed(entries))]


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("limit", [1, 3, 4, 100])
@pytest.mark.parametrize(("first", "last"), [("0", "9"), ("01", "04"), ("05", "05"), ("9", "9")])
def test_the_pages_contain_each_entry_in_the_range_once_in_order(
    table: Table, first: str, last: str, limit: int, forward: bool
) -> None:
    ids = table.read_all(first, last, limit=limit, forward=forward)

    assert ids == expected(ITEMS, first, last, forward=forward)


def test_a_query_sees_what_was_added_moved_and_deleted_after_the_first_query(table: Table) -> None:
    table.read_all("0", "9", limit=5, forward=True)
    table.put("new", "03")
    table.put("00", "06")
    table.put("07", "01", kind="b")
    table.client.delete_item(TableName=table.name, Key={"id": {"S": "14"}})

    now = {**ITEMS, "new": "03", "00": "06"}
    remaining = {item_id: at for item_id, at in now.items() if item_id not in ("07", "14")}
    assert table.read_all("0", "9", limit=5, forward=False) == expected(remaining, "0", "9", forward=False)
