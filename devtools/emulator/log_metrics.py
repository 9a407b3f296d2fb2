"""The metric IncomingBytes of log groups in the namespace AWS/Logs.

AWS measures the bytes that are written to each log group, before compression. The emulator records no such
metric.

Source: CloudWatch Logs user guide, "Monitoring with CloudWatch metrics".
"""

from collections.abc import Callable
from typing import Any

from ministack.services import cloudwatch, cloudwatch_logs, lambda_svc

from devtools.emulator import patch
from devtools.emulator.function_log import log_group

Json = dict[str, Any]


def install() -> None:
    """Extend the emulator."""
    patch.wrap(cloudwatch_logs, "_put_log_events", _put_log_events)
    patch.wrap(lambda_svc, "_emit_lambda_logs", _emit_lambda_logs)


def _put_log_events(original: Callable[[Json], Any], data: Json) -> Any:
    response = original(data)
    if response[0] < 400:
        _record(data["logGroupName"], sum(_size(event["message"]) for event in data["logEvents"]))
    return response


def _emit_lambda_logs(
    original: Callable[..., None], func: Json, request_id: str, log_text: str, *args: Any, **kwargs: Any
) -> None:
    original(func, request_id, log_text, *args, **kwargs)
    _record(log_group(func), _size(log_text or ""))


def _record(group: str, size: int) -> None:
    cloudwatch.record_metric("AWS/Logs", "IncomingBytes", size, "Bytes", {"LogGroupName": group})


def _size(text: str) -> int:
    return len(text.encode(errors="replace"))
