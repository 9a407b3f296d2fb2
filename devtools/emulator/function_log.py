"""The lines that functions log, in one file.

On AWS `sam logs --tail` follows the log groups. The emulator has the groups, but following them means
polling. When FUNCTION_LOG names a file, this module appends every line that a function wrote to it, as it is
and as soon as the invocation has ended, so that whoever supervises the emulator can follow the file.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from ministack.services import lambda_svc

from devtools.emulator import guard


def install() -> None:
    """Extend the emulator, if FUNCTION_LOG is set."""
    path = os.environ.get("FUNCTION_LOG")
    if path:
        guard.wrap(lambda_svc, "_execute_function_warm", partial(_execute, _LogFile(Path(path))))


class _LogFile:
    """A file to which threads append whole lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()

    def append(self, text: str) -> None:
        with self._lock, self._path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text + "\n")


def _execute(log_file: _LogFile, original: Callable[..., Any], func: Any, event: Any, request_id: str) -> Any:
    result = original(func, event, request_id)
    if result.get("log"):
        log_file.append(result["log"])
    return result
