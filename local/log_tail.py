"""Tells what happens to tickets, one line per event, from the functions' own log lines."""

import json
from collections.abc import Iterator
from io import SEEK_END
from pathlib import Path
from typing import Any, TextIO

_TELLING = {
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
    "tickets mailed": ["tickets"],
    "tickets digested": ["tickets"],
}


class LogTail:
    """Reads a growing log file from where it ends now, and tells of the ticket events in it."""

    def __init__(self, log: Path) -> None:
        log.touch()
        self._log = log.open(encoding="utf-8", errors="replace")
        self._log.seek(0, SEEK_END)
        self._partial = ""

    def new_lines(self) -> Iterator[str]:
        """The events since the last call, as lines for people."""
        for line in self._complete_lines(self._log):
            told = tell(line)
            if told:
                yield told

    def _complete_lines(self, log: TextIO) -> Iterator[str]:
        *complete, self._partial = (self._partial + log.read()).split("\n")
        yield from complete


def tell(line: str) -> str | None:
    """A function's log line as a line for people; None when it tells of no ticket or mail."""
    try:
        entry: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    if not isinstance(entry, dict) or entry.get("message") not in _TELLING:
        return None
    details = " ".join(str(entry[name]) for name in _TELLING[entry["message"]] if entry.get(name))
    time = str(entry.get("timestamp", ""))[11:19]
    ticket = entry.get("ticketId", "-")
    return f"{time}  {ticket}  {entry['message'].removeprefix('ticket ')}  {details}".rstrip()
