"""The log of functions: complete for each invocation, with the function's name, and collected in one file.

AWS logs what a function writes with the invocation that wrote it. After an invocation, the emulator polls for
log lines: for 50 ms if there are none, otherwise until no line has come for 5 ms. On a loaded machine, lines
that come later are logged with the next invocation. Here a Python worker writes a marker at the end of each
invocation, and the log is read up to the marker, or to its end if the worker has died.

AWS names the streams of a log group that functions share `2026/11/30/<function>[<version>]<environment>`. The
emulator omits the function, which is right only in the function's own group, `/aws/lambda/<function>`.

On AWS, `sam logs --tail` follows the log groups; the emulator would have to be polled for them. If
FUNCTION_LOG names a file, every line that a function logged is appended to it, unchanged, as soon as the
invocation has ended. The process that supervises the emulator can follow that file.
"""

import os
import queue
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

from ministack.core import lambda_runtime
from ministack.services import cloudwatch_logs, lambda_svc

from devtools.emulator import patch

# A handler cannot guess it.
_MARKER = f"end-of-invocation-{uuid4()}"

# The worker writes the marker before its response. When the worker has died, the log ends, unless a process
# that the handler started keeps it open.
_MAX_WAIT_SECONDS = 1.0

_RESPONSE_LINES = """
        _real_stdout.flush()

run()
"""
_MARKER_LINES = f"""
        try:
            print("{_MARKER}", file=sys.__stderr__, flush=True)
        except (OSError, ValueError):
            pass  # the handler closed stderr, which ends the log as well
{_RESPONSE_LINES}"""

_emit_lock = Lock()


def install() -> None:
    """Extend the emulator."""
    patch.replace_line(lambda_runtime, "_PYTHON_WORKER_SCRIPT", _RESPONSE_LINES, _MARKER_LINES)
    patch.wrap(lambda_runtime.Worker, "_read_stderr", _read_stderr)
    patch.wrap(lambda_runtime.Worker, "_drain_stderr_bounded", _drain_stderr)
    patch.wrap(lambda_runtime.Worker, "_drain_stderr", _drain_stderr)
    patch.wrap(lambda_svc, "_emit_lambda_logs", _emit_lambda_logs)
    path = os.environ.get("FUNCTION_LOG")
    if path:
        patch.wrap(lambda_svc, "_execute_function_warm", partial(_execute, _LogFile(Path(path))))


# --- The log of an invocation ---


def _read_stderr(original: Callable[..., None], self: Any) -> None:
    lines = self._stderr_queue  # a restarted worker gets another queue
    original(self)
    lines.put(_MARKER)


def _drain_stderr(original: Callable[..., str], self: Any, **waits: float) -> str:
    if not self.config["Runtime"].startswith("python"):
        return original(self, **waits)
    lines = []
    deadline = time.monotonic() + _MAX_WAIT_SECONDS
    marker = ""
    while not marker:
        try:
            line = self._stderr_queue.get(timeout=max(0, deadline - time.monotonic()))
        except queue.Empty:
            break
        text, marker, _ = line.partition(_MARKER)
        if text or not marker:
            lines.append(text)
    return "\n".join(lines)


# --- The log stream ---


def log_group(func: Any) -> str:
    """The log group of a function."""
    config = func.get("config") or func
    return (config.get("LoggingConfig") or {}).get("LogGroup") or _own_log_group(config["FunctionName"])


def _own_log_group(function: str) -> str:
    return f"/aws/lambda/{function}"


def _emit_lambda_logs(original: Callable[..., None], func: Any, *args: Any, **kwargs: Any) -> None:
    function, group = (func.get("config") or func)["FunctionName"], log_group(func)
    if group == _own_log_group(function):
        original(func, *args, **kwargs)
        return
    with _emit_lock:  # so that the newest stream is the one of this call
        original(func, *args, **kwargs)
        streams = cloudwatch_logs._log_groups[group]["streams"]
        name = next(reversed(streams))
        date, bracket, rest = name.partition("/[")
        if bracket:
            streams[f"{date}/{function}[{rest}"] = streams.pop(name)


# --- The file ---


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
