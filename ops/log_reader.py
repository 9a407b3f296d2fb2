"""Reads the lines of JSON in a log group of which one field has a given value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

# What a filter pattern takes literally, between a * at either end.
_LITERAL = re.compile(r"\*?[A-Za-z0-9_: -]+\*?")


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """The part of a log to read."""

    start: datetime
    end: datetime


def read_lines(
    client: CloudWatchLogsClient, log_group: str, field: str, value: str, window: TimeWindow
) -> Iterator[dict[str, Any]]:
    """The lines in which a field has a value, oldest first; a `*` at an end of the value matches any text.

    Reads nothing if the value has characters with a meaning in filter patterns. Raises botocore's errors.
    """
    if not _LITERAL.fullmatch(value):
        return
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=log_group,
        filterPattern=f'{{ $.{field} = "{value}" }}',
        startTime=round(window.start.timestamp() * 1000),
        endTime=round(window.end.timestamp() * 1000),
    )
    for page in pages:
        for event in page["events"]:
            if line := json_object(event["message"]):
                yield line


def json_object(value: object) -> dict[str, Any]:
    """A JSON object, or the one in a JSON text; an empty one for any other value."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}
