"""Warming up: run each function that a ticket needs once, so that the first ticket does not have to wait.

The first call of a function takes seconds, most of them for imports. The events are invalid ones, which the
functions reject, so that nothing is stored or sent.
"""

import json
from concurrent.futures import ThreadPoolExecutor

from local.invoke import event_file
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


def warm_up(stack: Stack) -> None:
    """Invoke each function once."""
    payloads = {task: event_file(task, event).read_bytes() for task, event in _INVALID_EVENTS.items()}
    payloads["tickets"] = json.dumps(_UNKNOWN_TICKET).encode()
    payloads["mail"] = json.dumps({"Records": []}).encode()
    with ThreadPoolExecutor() as pool:
        list(pool.map(stack.invoke, payloads, payloads.values()))
