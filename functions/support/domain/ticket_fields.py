"""Checks of single fields in execution inputs and ticket documents; each raises InvalidTicket."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from support.domain.errors import InvalidTicket


def field(source: Mapping[str, Any], name: str, expected_type: type) -> Any:
    """A required field of a type other than bool."""
    value = source.get(name)
    if not isinstance(value, expected_type) or isinstance(value, bool):
        raise InvalidTicket(f"{name} is missing or is not of type {expected_type.__name__}.")
    return value


def text(source: Mapping[str, Any], name: str, max_length: int) -> str:
    """A required text of 1 to `max_length` characters."""
    value = cast(str, field(source, name, str))
    if not 1 <= len(value) <= max_length:
        raise InvalidTicket(f"{name} has {len(value)} characters; it must have 1 to {max_length}.")
    return replace_lone_surrogates(value)


def optional_text(source: Mapping[str, Any], name: str, max_length: int) -> str | None:
    """A text of at most `max_length` characters; None when it is missing or empty."""
    return text(source, name, max_length) if source.get(name) else None


def epoch_milliseconds(source: Mapping[str, Any], name: str) -> datetime:
    """A required time, given in milliseconds since 1970."""
    try:
        return datetime.fromtimestamp(field(source, name, int) / 1000, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidTicket(f"{name} is not a time in milliseconds since 1970.") from error


def is_time(value: object) -> bool:
    """Whether the value is an ISO 8601 time with a time zone."""
    try:
        return datetime.fromisoformat(str(value)).tzinfo is not None
    except ValueError:
        return False


def replace_lone_surrogates(text: str) -> str:
    r"""Replace half characters (`"\ud800"`), which JSON allows but UTF-8 does not, with U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
