"""Warming up: each function of the main job runs once before the first ticket comes.

A function's first run takes seconds, most of them for imports; a newcomer's first ticket should not have to
wait. The events are ones that the functions refuse, so that nothing is stored or sent.
"""

import json
from concurrent.futures import ThreadPoolExecutor

from local.invoke import event_file
from local.state import Stack

_REFUSED = {
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
    """Run each function once."""
    payloads = {task: event_file(task, event).read_bytes() for task, event in _REFUSED.items()}
    payloads["tickets"] = json.dumps(_UNKNOWN_TICKET).encode()
    payloads["mail"] = json.dumps({"Records": []}).encode()
    with ThreadPoolExecutor() as pool:
        list(pool.map(stack.invoke, payloads, payloads.values()))
