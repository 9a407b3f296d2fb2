"""The write units of a write to DynamoDB, with those of its indexes.

Sources: DynamoDB developer guide, "DynamoDB item sizes and formats" and "Using Global Secondary Indexes in
DynamoDB: Provisioned throughput considerations".
"""

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Any

type Item = Mapping[str, Any]
"""Attribute values by name, such as `{"status": {"S": "RECEIVED"}}`."""

_WRITE_UNIT = 1024
_READ_UNIT = 4096


def item_bytes(item: Item) -> int:
    """The size of an item."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def read_units(size: float) -> int:
    """The read units of a strongly consistent read of an item with this size."""
    return ceil(size / _READ_UNIT)


def write_units(before: Item | None, after: Item, indexes: Sequence[Mapping[str, Any]]) -> int:
    """The write units of a write; `indexes` are those of DescribeTable's answer or of the template."""
    return _units(before or {}, after) + sum(_index_units(before or {}, after, index) for index in indexes)


def _index_units(before: Item, after: Item, index: Mapping[str, Any]) -> int:
    old, new = _entry(before, index), _entry(after, index)
    if old == new:
        return 0
    keys = _key_names(index)
    if old and new and any(old[key] != new[key] for key in keys):
        # The old entry is deleted, and a new one is put.
        return _units(old, {}) + _units({}, new)
    return _units(old, new)


def _entry(item: Item, index: Mapping[str, Any]) -> Item:
    """What the index contains of an item: nothing if the item lacks a key of the index."""
    if not item or any(key not in item for key in _key_names(index)):
        return {}
    projection = index["Projection"]
    if projection["ProjectionType"] == "ALL":
        return item
    names = {"ticketId", *_key_names(index), *projection.get("NonKeyAttributes", [])}
    return {name: value for name, value in item.items() if name in names}


def _key_names(index: Mapping[str, Any]) -> Iterator[str]:
    return (key["AttributeName"] for key in index["KeySchema"])


def _units(before: Item, after: Item) -> int:
    """The larger of both sizes counts."""
    return ceil(max(item_bytes(before), item_bytes(after)) / _WRITE_UNIT)


def _value_bytes(attribute: Mapping[str, Any]) -> int:
    ((kind, value),) = attribute.items()
    match kind:
        case "S":
            return len(str(value).encode())
        case "N":
            number = str(value)
            digits = number.lstrip("-").replace(".", "").strip("0")
            return ceil(len(digits) / 2) + 1 + number.startswith("-")
        case "L":
            return 3 + sum(1 + _value_bytes(element) for element in value)
        case "M":
            return 3 + len(value) + item_bytes(value)
        case "BOOL" | "NULL":
            return 1
    raise ValueError(f"A ticket has no attribute of type {kind}.")
