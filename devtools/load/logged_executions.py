"""Copies of a logged execution: a log with many executions, without running them."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from local.stack import Stack

COPIES = "copies"
"""The log stream that they are written to."""

# What PutLogEvents takes at once. Each event counts for 26 bytes more than its message.
_BATCH_BYTES = 1024 * 1024
_BATCH_EVENTS = 10_000
_EVENT_BYTES = 26

type Event = Mapping[str, Any]


def copy_execution(stack: Stack, name: str, copies: int, *, over: timedelta) -> list[str]:
    """Log an ended execution again and again, as if its copies had started evenly over the last time.

    Returns their names, oldest first. Call it once for a stack.
    """
    logs, group = stack.client("logs"), stack.state_machine_log_group
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group, filterPattern=f'{{ $.execution_arn = "*:{name}*" }}'
    )
    lines = [event for page in pages for event in page["events"]]
    names = [str(uuid.uuid4()) for _ in range(copies)]
    step = int(over.total_seconds() * 1000 / copies)
    begin = int(time.time() * 1000) - copies * step
    events = [
        event
        for number, new in enumerate(names)
        for event in _copied(lines, name, new, start=begin + number * step)
    ]
    stream = {"logGroupName": group, "logStreamName": COPIES}
    logs.create_log_stream(**stream)
    for batch in _batches(sorted(events, key=lambda event: event["timestamp"])):
        logs.put_log_events(**stream, logEvents=batch)
    return names


def _copied(lines: Sequence[Event], name: str, new: str, *, start: int) -> Iterator[Event]:
    first = min(line["timestamp"] for line in lines)
    for line in lines:
        timestamp = start + line["timestamp"] - first
        message = json.loads(line["message"].replace(name, new)) | {"event_timestamp": str(timestamp)}
        yield {"timestamp": timestamp, "message": json.dumps(message)}


def _batches(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    begin = size = 0
    for number, event in enumerate(events):
        size += (length := len(event["message"].encode()) + _EVENT_BYTES)
        if size > _BATCH_BYTES or number - begin == _BATCH_EVENTS:
            yield events[begin:number]
            begin, size = number, length
    yield events[begin:]
