"""Ticket events from the functions' log, one line for each."""

import json
from collections.abc import Iterator
from io import SEEK_END
from pathlib import Path
from typing import Any

# Log message → the fields to show.
_EVENTS = {
    "ticket stored": ["status"],
    "ticket classified": ["urgency", "category"],
    "ticket updated": ["status"],
    "support notified": ["urgency", "category"],
    "support already notified": [],
    "duplicate ignored": ["status"],
    "ticket deferred": ["error"],
    "ticket failed": ["error"],
    "ticket replayed": [],
    "ticket swept": [],
    "ticket given up": ["error"],
    "task failed": ["error", "reason"],
    "task failed; it is retried if attempts are left": ["error", "reason"],
    "tickets mailed": ["tickets"],
    "tickets digested": ["tickets"],
}


class LogTail:
    """Reads the ticket events that are appended to a log file from now on."""

    def __init__(self, log: Path) -> None:
        log.touch()
        self._log = log.open(encoding="utf-8", errors="replace")
        self._log.seek(0, SEEK_END)
        self._partial_line = ""

    def new_events(self) -> Iterator[str]:
        """The events since the last call, each formatted as a line."""
        for line in self._complete_lines():
            if event := format_event(line):
                yield event

    def _complete_lines(self) -> list[str]:
        *lines, self._partial_line = (self._partial_line + self._log.read()).split("\n")
        return lines


def format_event(line: str) -> str | None:
    """Format a line of a function's log for display; None if it is not about a ticket or a mail."""
    try:
        entry: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    if not isinstance(entry, dict) or entry.get("message") not in _EVENTS:
        return None
    details = " ".join(str(entry[name]) for name in _EVENTS[entry["message"]] if entry.get(name))
    time = str(entry.get("timestamp", ""))[11:19]
    ticket = entry.get("ticketId", "-")
    return f"{time}  {ticket}  {entry['message'].removeprefix('ticket ')}  {details}".rstrip()
