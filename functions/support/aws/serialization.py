"""Converts documents to DynamoDB items and back."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from support.domain.errors import InvalidTicket

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


def to_item(document: Mapping[str, Any]) -> dict[str, Any]:
    """The item for a JSON object."""
    # boto3 rejects floats: store the decimal that JSON shows, such as 0.9.
    exact = json.loads(json.dumps(document), parse_float=Decimal)
    return {name: _serialize(value) for name, value in exact.items()}


def to_document(item: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object in an item.

    Raises:
        InvalidTicket: the item contains a value that JSON does not have, such as a set.
    """
    return {name: _json_value(_deserialize(value)) for name, value in item.items()}


def _json_value(value: Any) -> Any:
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case dict():
            return {name: _json_value(item) for name, item in value.items()}
        case list():
            return [_json_value(item) for item in value]
        case str() | bool() | None:
            return value
    raise InvalidTicket(f"The item contains a value of type {type(value).__name__}.")
