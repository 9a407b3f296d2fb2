"""Fields of a request, read one by one: API Gateway does not validate bodies of every content type."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from support.domain.refusals import InvalidRequest
from support.domain.ticket import without_lone_surrogates


def parse_object(body: str | None, allowed: Collection[str]) -> dict[str, Any]:
    """The JSON object in a body, with no other fields than those allowed.

    Raises:
        InvalidRequest: it is none.
    """
    try:
        document = json.loads(body or "")
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is no JSON document.") from None
    if not isinstance(document, dict):
        raise InvalidRequest("The body is no JSON object.")
    if unknown := sorted(set(document) - set(allowed)):
        raise InvalidRequest(f"{unknown[0][:64]!r} is none of {', '.join(allowed)}.")
    return document


def whole_number(source: Mapping[str, Any], name: str, least: int, most: int) -> int:
    """A required whole number from `least` to `most`."""
    value = source.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidRequest(f"{name} must be a whole number from {least} to {most}.")
    return value


def text(source: Mapping[str, Any], name: str, least: int, most: int) -> str | None:
    """An optional text of `least` to `most` characters."""
    value = source.get(name)
    if name not in source:
        return None
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise InvalidRequest(f"{name} must be a text of {least} to {most} characters.")
    return without_lone_surrogates(value)


def one_of(source: Mapping[str, Any], name: str, values: Collection[str]) -> str | None:
    """An optional text out of a closed list."""
    value = source.get(name)
    if name not in source:
        return None
    if not isinstance(value, str) or value not in values:
        raise InvalidRequest(f"{name} must be one of {', '.join(values)}.")
    return value
