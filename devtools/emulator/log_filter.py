"""FilterLogEvents as AWS has it: JSON filter patterns, and page by page.

The emulator takes every JSON pattern for one that matches all lines, and returns the first 10,000 events
without a token to go on with. Here a pattern `{ $.field = "text*" }` selects the lines that are JSON objects
with such a field at their top; any other JSON pattern is refused, rather than answered wrongly. A page ends
at 1 MB or 10,000 events, whichever comes first, and `nextToken` leads to the next one.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

import heapq
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import cloudwatch_logs

from devtools.emulator import guard

type Json = dict[str, Any]
type Answer = tuple[int, dict[str, str], bytes]

MAX_BYTES = 1024 * 1024
MAX_EVENTS = 10_000

# `*` stands at the beginning or the end for any text; AWS takes it literally elsewhere.
_PATTERN = re.compile(r'\{\s*\$\.([A-Za-z0-9_-]+)\s*=\s*"(\*?)([^"*\\]+)(\*?)"\s*\}')


def install() -> None:
    """Extend the emulator."""
    guard.wrap(cloudwatch_logs, "_compile_filter_pattern", _compile_filter_pattern)
    guard.wrap(cloudwatch_logs, "_filter_log_events", _filter_log_events)


class _UnknownPatternError(Exception):
    """The pattern is not one of those that this module knows."""


def _compile_filter_pattern(original: Callable[[str], Any], raw: str) -> Callable[[str], bool]:
    if not raw.strip().startswith("{"):
        matcher: Callable[[str], bool] = original(raw)
        return matcher
    if (pattern := _PATTERN.fullmatch(raw.strip())) is None:
        raise _UnknownPatternError
    field, before, text, after = pattern.groups()
    value = re.compile((".*" if before else "") + re.escape(text) + (".*" if after else ""), re.DOTALL)

    def matches(message: str) -> bool:
        try:
            line = json.loads(message)
        except (ValueError, RecursionError):
            return False
        found = line.get(field) if isinstance(line, dict) else None
        return isinstance(found, str) and value.fullmatch(found) is not None

    return matches


def _filter_log_events(original: Callable[[Json], Answer], data: Json) -> Answer:
    name = cloudwatch_logs._resolve_log_group_name(data)
    if name not in cloudwatch_logs._log_groups:
        return original(data)
    try:
        matches = cloudwatch_logs._compile_filter_pattern(data.get("filterPattern", ""))
        page, token = _page(data, cloudwatch_logs._log_groups[name]["streams"], matches)
    except _UnknownPatternError:
        return _refused(
            f'The embedded AWS knows JSON filter patterns of the form {{ $.field = "text*" }} only, not '
            f"{data['filterPattern']}: extend devtools/emulator/log_filter.py."
        )
    except _InvalidTokenError:
        return _refused("The specified nextToken is invalid.")
    answer: Answer = json_response(
        {"events": page, "searchedLogStreams": [], **({"nextToken": token} if token else {})}
    )
    return answer


class _InvalidTokenError(Exception):
    """No page ended there."""


def _page(data: Json, streams: Json, matches: Callable[[str], bool]) -> tuple[list[Json], str | None]:
    """The next events that match, and the token for those after them.

    A token says how many events were read before. An event that is written meanwhile with an earlier time
    moves the others: then one is read twice.
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
    """The events between the times, oldest first. A copy: the log goes on while it is read."""
    earliest, latest = data.get("startTime", 0), data.get("endTime", float("inf"))
    names = data.get("logStreamNames") or [*streams]
    with cloudwatch_logs._log_events_lock:
        histories = [
            [
                {**event, "logStreamName": name}
                for event in streams[name]["events"]
                if earliest <= event["timestamp"] <= latest
            ]
            for name in names
            if name in streams
        ]
    return heapq.merge(*histories, key=lambda event: (event["timestamp"], event.get("ingestionTime", 0)))


def _refused(message: str) -> Answer:
    answer: Answer = error_response_json("InvalidParameterException", message, 400)
    return answer
