"""Converts documents to DynamoDB items and back.

boto3 has a converter, but its import would slow down every cold start.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from support.domain.errors import InvalidTicket


def to_item(document: Mapping[str, Any]) -> dict[str, Any]:
    """The item for a JSON object."""
    # DynamoDB has decimal numbers: store the decimal that JSON shows, such as 0.9.
    exact = json.loads(json.dumps(document), parse_float=Decimal)
    return {name: _attribute(value) for name, value in exact.items()}


def to_document(item: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object in an item.

    Raises:
        InvalidTicket: the item contains a value that JSON does not have, such as a set.
    """
    return {name: _json_value(attribute) for name, attribute in item.items()}


def _attribute(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case list():
            return {"L": [_attribute(item) for item in value]}
        case dict():
            return {"M": {name: _attribute(item) for name, item in value.items()}}
        case _:
            return {"N": str(value)}


def _json_value(attribute: Mapping[str, Any]) -> Any:
    match attribute:
        case {"NULL": _}:
            return None
        case {"S": value} | {"BOOL": value}:
            return value
        case {"N": value}:
            return _number(Decimal(value))
        case {"L": items}:
            return [_json_value(item) for item in items]
        case {"M": items}:
            return {name: _json_value(item) for name, item in items.items()}
    raise InvalidTicket(f"The item contains a value of type {', '.join(attribute)}.")


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
