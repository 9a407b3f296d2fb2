"""The metrics in the log lines of functions, in the embedded metric format.

CloudWatch reads them from the lines and records them for each of their sets of dimensions. The emulator only
stores the lines.

Source: Amazon CloudWatch user guide, "Specification: Embedded metric format".
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import cloudwatch, lambda_svc

from devtools.emulator import patch


def install() -> None:
    """Extend the emulator."""
    patch.wrap(lambda_svc, "_emit_lambda_logs", _emit_lambda_logs)


def _emit_lambda_logs(
    original: Callable[..., None], func: Any, request_id: str, log_text: str, *args: Any, **options: Any
) -> None:
    original(func, request_id, log_text, *args, **options)
    for line in (log_text or "").splitlines():
        if line.startswith("{") and '"_aws"' in line:
            _record(line)


def _record(line: str) -> None:
    try:
        document = json.loads(line)
        directives = document["_aws"]["CloudWatchMetrics"]
    except (ValueError, KeyError, TypeError):
        return  # a line of another format that has the name
    for directive in directives:
        for names in directive["Dimensions"]:
            _record_metrics(directive, {name: document[name] for name in names}, document)


def _record_metrics(
    directive: Mapping[str, Any], dimensions: dict[str, str], document: Mapping[str, Any]
) -> None:
    for metric in directive["Metrics"]:
        values = document[metric["Name"]]
        for value in values if isinstance(values, list) else [values]:
            cloudwatch.record_metric(
                directive["Namespace"], metric["Name"], value, metric.get("Unit", "None"), dimensions
            )
