"""Validates the fields of a request, instead of API Gateway, whose messages do not name the field.

Every function raises InvalidRequest; the message names the field.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from support.domain.refusals import InvalidRequest
from support.domain.ticket_fields import replace_lone_surrogates


def json_object(body: str | None, allowed: Collection[str]) -> dict[str, Any]:
    """The JSON object in a body, with only the allowed fields."""
    try:
        document = json.loads(body or "")
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is not valid JSON.") from None
    if not isinstance(document, dict):
        raise InvalidRequest("The body is not a JSON object.")
    if unknown := sorted(set(document) - set(allowed)):
        raise InvalidRequest(f"{unknown[0][:64]!r} is not allowed: the fields are {', '.join(allowed)}.")
    return document


def integer(source: Mapping[str, Any], name: str, minimum: int, maximum: int) -> int:
    """A required integer from `minimum` to `maximum`."""
    if name not in source:
        raise InvalidRequest(f"{name} is missing: it must be an integer from {minimum} to {maximum}.")
    value = source[name]
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        raise InvalidRequest(f"{name} must be an integer from {minimum} to {maximum}.")
    return value


def text(source: Mapping[str, Any], name: str, min_length: int, max_length: int) -> str | None:
    """An optional string of `min_length` to `max_length` characters."""
    value = source.get(name)
    if name not in source:
        return None
    if not isinstance(value, str) or not min_length <= len(value) <= max_length:
        raise InvalidRequest(f"{name} must be a string of {min_length} to {max_length} characters.")
    return replace_lone_surrogates(value)


def one_of(source: Mapping[str, Any], name: str, values: Collection[str]) -> str | None:
    """An optional string from a list of values."""
    value = source.get(name)
    if name not in source:
        return None
    if not isinstance(value, str) or value not in values:
        raise InvalidRequest(f"{name} must be one of {', '.join(values)}.")
    return value
