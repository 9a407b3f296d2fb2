"""FilterLogEvents: JSON filter patterns, and pages.

On AWS, a JSON pattern selects the lines whose fields match it, and a page ends at 1 MB or 10,000 events,
whichever comes first, with a `nextToken` for the next page. In the emulator, a JSON pattern matches all
lines, and only the first 10,000 events are returned. This module supports patterns of the form `{ $.field =
"text*" }` for top-level fields; it refuses other JSON patterns, because a wrong result would go unnoticed.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

import heapq
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import cloudwatch_logs

from devtools.emulator import patch

type Json = dict[str, Any]
type Response = tuple[int, dict[str, str], bytes]

MAX_BYTES = 1024 * 1024
MAX_EVENTS = 10_000

# A `*` at the beginning or the end matches any text; elsewhere AWS takes it literally.
_PATTERN = re.compile(r'\{\s*\$\.([A-Za-z0-9_-]+)\s*=\s*"(\*?)([^"*\\]+)(\*?)"\s*\}')


def install() -> None:
    """Extend the emulator."""
    patch.wrap(cloudwatch_logs, "_compile_filter_pattern", _compile_filter_pattern)
    patch.wrap(cloudwatch_logs, "_filter_log_events", _filter_log_events)


class _UnsupportedPatternError(Exception):
    """This module does not support the pattern."""


def _compile_filter_pattern(original: Callable[[str], Any], raw: str) -> Callable[[str], bool]:
    if not raw.strip().startswith("{"):
        matcher: Callable[[str], bool] = original(raw)
        return matcher
    if (pattern := _PATTERN.fullmatch(raw.strip())) is None:
        raise _UnsupportedPatternError
    field, before, text, after = pattern.groups()
    expected = re.compile((".*" if before else "") + re.escape(text) + (".*" if after else ""), re.DOTALL)

    def matches(message: str) -> bool:
        try:
            line = json.loads(message)
        except (ValueError, RecursionError):
            return False
        actual = line.get(field) if isinstance(line, dict) else None
        return isinstance(actual, str) and expected.fullmatch(actual) is not None

    return matches


def _filter_log_events(original: Callable[[Json], Response], data: Json) -> Response:
    name = cloudwatch_logs._resolve_log_group_name(data)
    if name not in cloudwatch_logs._log_groups:
        return original(data)
    try:
        matches = cloudwatch_logs._compile_filter_pattern(data.get("filterPattern", ""))
        page, token = _page(data, cloudwatch_logs._log_groups[name]["streams"], matches)
    except _UnsupportedPatternError:
        return _invalid_parameter(
            f'The embedded AWS supports only JSON filter patterns of the form {{ $.field = "text*" }}, not '
            f"{data['filterPattern']}: extend devtools/emulator/log_filter.py."
        )
    except _InvalidTokenError:
        return _invalid_parameter("The specified nextToken is invalid.")
    response: Response = json_response(
        {"events": page, "searchedLogStreams": [], **({"nextToken": token} if token else {})}
    )
    return response


class _InvalidTokenError(Exception):
    """The token is not one that a page ended with."""


def _page(data: Json, streams: Json, matches: Callable[[str], bool]) -> tuple[list[Json], str | None]:
    """The next matching events, and the token for the events after them.

    A token is the number of events that were read before. If an event with an earlier timestamp is written
    between two calls, one event is returned twice.
    """
    token = data.get("nextToken", "0")
    if not (isinstance(token, str) and token.isascii() and token.isdecimal()):
        raise _InvalidTokenError
    limit = min(data.get("limit", MAX_EVENTS), MAX_EVENTS)
    page: list[Json] = []
    size = 0
    for number, event in enumerate(_events(data, streams)):
        if number < int(token) or not matches(event["message"]):
            continue
        size += len(event["message"].encode())
        if page and (len(page) == limit or size > MAX_BYTES):
            return page, str(number)
        page.append(event)
    return page, None


def _events(data: Json, streams: Json) -> Iterator[Json]:
    """The events between startTime and endTime, oldest first; copies, because lines are written meanwhile."""
    earliest, latest = data.get("startTime", 0), data.get("endTime", float("inf"))
    names = data.get("logStreamNames") or [*streams]
    with cloudwatch_logs._log_events_lock:
        by_stream = [
            [
                {**event, "logStreamName": name}
                for event in streams[name]["events"]
                if earliest <= event["timestamp"] <= latest
            ]
            for name in names
            if name in streams
        ]
    return heapq.merge(*by_stream, key=lambda event: (event["timestamp"], event.get("ingestionTime", 0)))


def _invalid_parameter(message: str) -> Response:
    response: Response = error_response_json("InvalidParameterException", message, 400)
    return response
