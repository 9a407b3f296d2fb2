"""What a function logs belongs to the invocation that logged it, however slow the machine is.

The emulator polls for log lines after an invocation: for 50 ms when there are none, else until nothing came
for 5 ms. AWS has no such wait, and lines that a loaded machine delivers later turn up with the next
invocation. This module lets a Python worker mark the end of each invocation in its log, and reads up to that
mark, or to the end of the log when the worker has died.
"""

import queue
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from ministack.core import lambda_runtime

from devtools.emulator import guard

# A handler cannot guess it.
_END = f"end-of-invocation-{uuid4()}"

# The mark is written before the answer. It is missing when a process that the handler started keeps the log
# of a dead worker open.
_LONGEST_WAIT_SECONDS = 1.0

_ANSWER_LINES = """
        _real_stdout.flush()

run()
"""
_MARK_LINES = f"""
        try:
            print("{_END}", file=sys.__stderr__, flush=True)
        except (OSError, ValueError):
            pass  # closed by the handler, which ends the log, too
{_ANSWER_LINES}"""


def install() -> None:
    """Extend the emulator."""
    guard.replace_line(lambda_runtime, "_PYTHON_WORKER_SCRIPT", _ANSWER_LINES, _MARK_LINES)
    guard.wrap(lambda_runtime.Worker, "_read_stderr", _read)
    guard.wrap(lambda_runtime.Worker, "_drain_stderr_bounded", _drain)
    guard.wrap(lambda_runtime.Worker, "_drain_stderr", _drain)


def _read(original: Callable[..., None], self: Any) -> None:
    lines = self._stderr_queue  # a worker that is started again gets another one
    original(self)
    lines.put(_END)


def _drain(original: Callable[..., str], self: Any, **waits: float) -> str:
    if not self.config["Runtime"].startswith("python"):
        return original(self, **waits)
    lines = []
    deadline = time.monotonic() + _LONGEST_WAIT_SECONDS
    end = ""
    while not end:
        try:
            line = self._stderr_queue.get(timeout=max(0, deadline - time.monotonic()))
        except queue.Empty:
            break
        text, end, _ = line.partition(_END)
        if text or not end:
            lines.append(text)
    return "\n".join(lines)
