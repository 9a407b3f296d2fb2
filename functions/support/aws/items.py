"""Documents as DynamoDB's items, and back."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from support.domain.errors import InvalidTicket

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


def to_item(document: Mapping[str, Any]) -> dict[str, Any]:
    """The item that holds a JSON object."""
    # DynamoDB has exact decimals and boto3 refuses floats: 0.9 goes in as the number that JSON shows.
    exact = json.loads(json.dumps(document), parse_float=Decimal)
    return {name: _serialize(value) for name, value in exact.items()}


def to_document(item: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object in an item.

    Raises:
        InvalidTicket: it holds a value that JSON does not have, such as a set.
    """
    return {name: _plain(_deserialize(value)) for name, value in item.items()}


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case dict():
            return {name: _plain(item) for name, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case str() | bool() | None:
            return value
    raise InvalidTicket(f"The item holds a value of type {type(value).__name__}.")
