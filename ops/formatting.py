"""Numbers, names and durations in the output of the commands."""

import re
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

_MAX_NAME = 128


def count(number: int, noun: str) -> str:
    """`1 ticket`, `2,000 tickets`."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def sanitize(name: str) -> str:
    """An id or an error's name, in which all unusual characters are replaced, such as control characters."""
    return re.sub(r"[^A-Za-z0-9_.:/-]", "?", name[:_MAX_NAME]) or "-"


def one_line(text: str) -> str:
    """A text without control characters and line breaks."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def count_reasons(reasons: Iterable[str]) -> str:
    """`9 for ModelThrottled, 3 for Replay`."""
    counts = Counter(map(sanitize, reasons)).most_common()
    return ", ".join(f"{number:,} for {reason}" for reason, number in counts)


def short_duration(duration: timedelta) -> str:
    """An approximate duration in a table: `45s`, `12m`, `3h`, `5d`."""
    number, unit = _largest_unit(duration)
    return f"{number}{unit[0]}"


def long_duration(duration: timedelta) -> str:
    """An approximate duration in a sentence: `45 s`, `12 min`, `3 h`, `5 d`."""
    number, unit = _largest_unit(duration)
    return f"{number} {unit}"


def _largest_unit(duration: timedelta) -> tuple[int, str]:
    seconds = max(0, int(duration.total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return seconds // size, unit
    return seconds, "s"
