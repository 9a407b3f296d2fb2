"""FilterLogEvents: JSON filter patterns, and pages; and late events.

On AWS, a JSON pattern selects the lines whose fields match it, and a page ends at 1 MB or 10,000 events,
whichever comes first, with a `nextToken` for the next page. In the emulator, a JSON pattern matches all
lines, and only the first 10,000 events are returned. This module supports patterns of the form `{ $.field =
"text*" }` for top-level fields; it refuses other JSON patterns, because a wrong result would go unnoticed.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

import heapq
import json
import operator
import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import cloudwatch_logs

from devtools.emulator import patch

type Json = dict[str, Any]
type Response = tuple[int, dict[str, str], bytes]

_timestamp = operator.itemgetter("timestamp")

MAX_BYTES = 1024 * 1024
MAX_EVENTS = 10_000

# A `*` at the beginning or the end matches any text; elsewhere AWS takes it literally.
_PATTERN = re.compile(r'\{\s*\$\.([A-Za-z0-9_-]+)\s*=\s*"(\*?)([^"*\\]+)(\*?)"\s*\}')


def install() -> None:
    """Extend the emulator."""
    patch.wrap(cloudwatch_logs, "_compile_filter_pattern", _compile_filter_pattern)
    patch.wrap(cloudwatch_logs, "_filter_log_events", _filter_log_events)
    patch.wrap(cloudwatch_logs, "_append_log_events", _append_log_events)


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
        # Usually there is no need to parse the line: JSON escapes no character of an ASCII text.
        if text.isascii() and text not in message:
            return False
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
    """The events between startTime and endTime, oldest first."""
    earliest, latest = data.get("startTime", 0), data.get("endTime", float("inf"))
    names = [name for name in data.get("logStreamNames") or streams if name in streams]
    with cloudwatch_logs._log_events_lock:  # lines are written meanwhile
        by_stream = [(name, _between(streams[name]["events"], earliest, latest)) for name in names]
    merged = heapq.merge(*(_named(*named) for named in by_stream), key=_order)
    return ({**event, "logStreamName": name} for name, event in merged)


def _between(events: list[Json], earliest: float, latest: float) -> list[Json]:
    """The part of a stream's events, which are in order, between two times."""
    start, end = bisect_left(events, earliest, key=_timestamp), bisect_right(events, latest, key=_timestamp)
    return events[start:end]


def _named(name: str, events: list[Json]) -> Iterator[tuple[str, Json]]:
    return ((name, event) for event in events)


def _order(named: tuple[str, Json]) -> tuple[int, int]:
    _name, event = named
    return event["timestamp"], event.get("ingestionTime", 0)


def _append_log_events(original: Callable[..., None], stream: Json, events: list[Json]) -> None:
    if len(events) != 1 or not stream["events"]:
        original(stream, events)
        return
    (event,) = events
    with cloudwatch_logs._log_events_lock:
        insort(stream["events"], event, key=_timestamp)
        stream["firstEventTimestamp"] = min(stream["firstEventTimestamp"], event["timestamp"])
        stream["lastEventTimestamp"] = max(stream["lastEventTimestamp"], event["timestamp"])
        stream["lastIngestionTime"] = event["ingestionTime"]


def _invalid_parameter(message: str) -> Response:
    response: Response = error_response_json("InvalidParameterException", message, 400)
    return response
