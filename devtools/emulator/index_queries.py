"""Queries on an index read only the entries that they need.

The emulator evaluates the key condition for every item of a partition, so that a list takes longer with every
stored item; in DynamoDB it does not. Here, queries with a `Limit` and a range of sort keys,
`#key = :value AND #sort BETWEEN :first AND :last`, get only the entries in this range, from where the query
starts, and no more than `Limit`. The emulator processes all other queries unchanged.
"""

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from ministack.services import dynamodb

from devtools.emulator import patch

Json = dict[str, Any]
# The sort key of an entry, and the keys of its item in the table.
type Entry = tuple[str, Any, Any]

_RANGE = re.compile(r"\s*[#\w]+ = :\w+ AND [#\w]+ BETWEEN (:\w+) AND (:\w+)\s*")
_ENTRIES = "_sorted_index_entries"
_by_sort_key = itemgetter(0)
_by_position = itemgetter(0, 1)


def install() -> None:
    """Extend the emulator."""
    patch.wrap(dynamodb, "_index_item", _index_item)
    patch.wrap(dynamodb, "_index_members", _index_members)
    patch.wrap(dynamodb, "_query", _query)


@dataclass(frozen=True, slots=True)
class _Range:
    """What a query asks for."""

    index: str
    first: str
    last: str
    start: Json | None
    is_forward: bool
    limit: int


_range: ContextVar[_Range | None] = ContextVar("_range", default=None)


def _query(original: Callable[..., Any], data: Json) -> Any:
    token = _range.set(_requested_range(data))
    try:
        return original(data)
    finally:
        _range.reset(token)


def _requested_range(data: Json) -> _Range | None:
    match = _RANGE.fullmatch(data.get("KeyConditionExpression") or "")
    if not match or not data.get("IndexName") or not isinstance(data.get("Limit"), int):
        return None
    values = data.get("ExpressionAttributeValues") or {}
    first, last = (values.get(name, {}).get("S") for name in match.groups())
    if first is None or last is None:
        return None
    start, is_forward = data.get("ExclusiveStartKey"), data.get("ScanIndexForward", True)
    return _Range(data["IndexName"], first, last, start, is_forward, data["Limit"])


def _index_members(original: Callable[..., Any], table: Json) -> Any:
    requested = _range.get()
    members = original(table)
    if requested is None:
        return members
    return {requested.index: _Partitions(table, members, requested)}


class _Partitions:
    """The partitions of an index, reduced to what a query asks for."""

    def __init__(self, table: Json, members: Json, requested: _Range) -> None:
        self._table = table
        self._members = members
        self._requested = requested

    def get(self, partition: str, default: Any) -> Any:
        """The keys of the items."""
        requested = self._requested
        keys = self._members.get(requested.index, {}).get(partition)
        if not keys:
            return default
        entries = _sorted_entries(self._table, self._members, requested.index, partition)
        low = bisect_left(entries, requested.first, key=_by_sort_key)
        high = bisect_right(entries, requested.last, key=_by_sort_key)
        if requested.start:
            position = self._position(requested.start)
            if requested.is_forward:
                low = max(low, bisect_right(entries, position, key=_by_position))
            else:
                high = min(high, bisect_left(entries, position, key=_by_position))
        if requested.is_forward:
            high = min(high, low + requested.limit)
        else:
            low = max(low, high - requested.limit)
        return [(base_pk, base_sk) for _, base_pk, base_sk in entries[low:high]]

    def _position(self, start: Json) -> tuple[Any, Any]:
        sort_name = _sort_names(self._table)[self._requested.index]
        return _text(start[sort_name]), dynamodb._extract_key_val(start[self._table["pk_name"]])


# --- The sorted entries of each partition ---


@dataclass(slots=True)
class _SortedEntries:
    """By index and partition; valid as long as the emulator keeps the same members."""

    members: Json
    partitions: dict[tuple[str, str], list[Entry]] = field(default_factory=dict)


def _sorted_entries(table: Json, members: Json, index: str, partition: str) -> list[Entry]:
    known = table.get(_ENTRIES)
    if known is None or known.members is not members:
        known = table[_ENTRIES] = _SortedEntries(members)
    if (index, partition) not in known.partitions:
        sort_name, items = _sort_names(table)[index], table["items"]
        known.partitions[index, partition] = sorted(
            (_text(items[base_pk][base_sk][sort_name]), base_pk, base_sk)
            for base_pk, base_sk in members[index][partition]
        )
    return known.partitions[index, partition]


def _sort_names(table: Json) -> dict[str, str]:
    """The sort key's name of each index that has exactly one."""
    schemas = dynamodb._index_key_schemas(table)
    return {name: ranges[0] for name, _, ranges in schemas if len(ranges) == 1}


def _index_item(original: Callable[..., None], table: Json, *change: Any, add: bool) -> None:
    original(table, *change, add=add)
    base_pk, base_sk, item = change
    known = table.get(_ENTRIES)
    if known is None:
        return
    for name, hashes, ranges in dynamodb._index_key_schemas(table):
        partition = dynamodb._index_partition(item, hashes, ranges)
        entries = known.partitions.get((name, partition))
        if entries is None:
            continue
        entry = (_text(item[ranges[0]]), base_pk, base_sk)
        if add:
            insort(entries, entry)
        else:
            del entries[bisect_left(entries, entry)]


def _text(attribute: Json) -> str:
    return str(dynamodb._extract_key_val(attribute))
