"""What the functions logged about one ticket."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ops.formatting import one_line

_MAX_VALUE = 300
# Fields of the functions' log lines. None contains what a customer wrote.
_FIELDS = ("status", "error", "reason", "model", "deferralError", "uncaughtError", "since", "by")
_FUNCTION = re.compile(r"[A-Za-z]+Function")


def function_of(line: dict[str, Any]) -> str:
    """The name in the template of the function that wrote a line."""
    function = _FUNCTION.search(str(line.get("function_name", "")))
    return function[0] if function else ""


def format_lines(lines: Iterable[dict[str, Any]]) -> list[str]:
    """Each line as time, function, level, message and fields."""
    return [_format(line) for line in lines]


def _format(line: dict[str, Any]) -> str:
    fields = [f"{name}={line[name]}" for name in _FIELDS if line.get(name)]
    parts = [line.get("timestamp"), function_of(line), line.get("level"), line.get("message"), *fields]
    return "  ".join(one_line(str(part))[:_MAX_VALUE] for part in parts if part)
