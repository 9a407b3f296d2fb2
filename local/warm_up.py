"""Warming up: run each function that a ticket needs once, so that the first ticket does not have to wait.

The first call of a function takes seconds, most of them for imports. The events are invalid ones, which the
functions reject, so that nothing is stored or sent. What they log about it is removed, because it would look
like failures.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local.invoke import event_file
from local.private_files import open_private
from local.stack import Stack

_INVALID_EVENTS = {
    "store": "missing-content",
    "classify": "no-ticket",
    "update": "failure-without-ticket-id",
    "notify": "unknown-ticket",
}
_UNKNOWN_TICKET = {
    "resource": "/tickets/{ticketId}",
    "path": "/tickets/unknown",
    "httpMethod": "GET",
    "headers": {},
    "requestContext": {"authorizer": {"claims": {}}},
}


def warm_up(stack: Stack, log: Path) -> None:
    """Invoke each function once, and empty the functions' log file and log group."""
    payloads = {task: event_file(task, event).read_bytes() for task, event in _INVALID_EVENTS.items()}
    payloads["tickets"] = json.dumps(_UNKNOWN_TICKET).encode()
    payloads["mail"] = json.dumps({"Records": []}).encode()
    # Create the client first: a session must not create clients in several threads at once.
    stack.client("lambda")
    with ThreadPoolExecutor() as pool:
        list(pool.map(stack.invoke, payloads, payloads.values()))
    open_private(log).close()
    _empty_log_group(stack)


def _empty_log_group(stack: Stack) -> None:
    logs, group = stack.client("logs"), stack.physical_id("FunctionsLogGroup")
    pages = logs.get_paginator("describe_log_streams").paginate(logGroupName=group)
    for stream in [stream["logStreamName"] for page in pages for stream in page["logStreams"]]:
        logs.delete_log_stream(logGroupName=group, logStreamName=stream)
