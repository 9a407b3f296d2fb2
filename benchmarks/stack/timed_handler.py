"""A handler around a built one, which logs when it ran, and when it waited for each of its AWS calls.

Only `make profile` deploys it. TIMED_HANDLER is the built handler.
"""

import importlib
import json
import os
import sys
import time
from typing import Any

from botocore.httpsession import URLLib3Session

_calls: list[tuple[str, float, float]] = []
_send = URLLib3Session.send


def _timed_send(self: URLLib3Session, request: Any) -> Any:
    started = time.time()
    try:
        return _send(self, request)
    finally:
        _calls.append((request.url, started, time.time()))


URLLib3Session.send = _timed_send  # type: ignore[method-assign]
_module, _, _name = os.environ["TIMED_HANDLER"].rpartition(".")
_handler = getattr(importlib.import_module(_module), _name)


def handler(event: dict[str, Any], context: object) -> Any:
    """Call the built handler, and log the times in seconds since the epoch."""
    _calls.clear()
    started = time.time()
    try:
        return _handler(event, context)
    finally:
        subject = event.get("ticket") or event["submission"]
        times = {"ticketId": subject["ticketId"], "start": started, "end": time.time(), "calls": _calls}
        sys.stdout.write(json.dumps({"times": times}) + "\n")
