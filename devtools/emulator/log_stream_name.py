"""In a log group of another name than its own, a function's streams carry its name.

AWS names the streams of a group that functions share `2026/11/30/<function>[<version>]<environment>`, so that
one can tell whose lines they hold. The emulator leaves the function out, as is right for the function's own
group, `/aws/lambda/<function>`.
"""

from collections.abc import Callable
from threading import Lock
from typing import Any

from ministack.services import cloudwatch_logs, lambda_svc

from devtools.emulator import guard

_lock = Lock()


def install() -> None:
    """Extend the emulator."""
    guard.wrap(lambda_svc, "_emit_lambda_logs", _emit)


def _emit(original: Callable[..., None], func: Any, *arguments: Any, **options: Any) -> None:
    config = func.get("config") or func
    function, group = config["FunctionName"], (config.get("LoggingConfig") or {}).get("LogGroup")
    if group in (None, f"/aws/lambda/{function}"):
        original(func, *arguments, **options)
        return
    with _lock:  # the newest stream is this call's
        original(func, *arguments, **options)
        streams = cloudwatch_logs._log_groups[group]["streams"]
        name = next(reversed(streams))
        date, bracket, rest = name.partition("/[")
        if bracket:
            streams[f"{date}/{function}[{rest}"] = streams.pop(name)
