"""Queries of CloudWatch Logs Insights.

On AWS, the fields of a line of JSON are fields of a query, and text stands in single or double quotes. The
emulator knows only the fields that every line has, and ignores what it does not understand, so that a wrong
result goes unnoticed. This module adds the top-level fields of JSON lines, and filters of the form `field =
"text"`. It refuses other queries.

Source: CloudWatch Logs user guide, "Supported logs and discovered fields" and "Query syntax".
"""

import json
import re
from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import cloudwatch_logs

from devtools.emulator import patch

type Json = dict[str, Any]
type Predicate = Callable[[Json], bool]

_EQUALITY = re.compile(r"""filter\s+([\w.@-]+)\s*=\s*(?:"([^"\\]*)"|'([^'\\]*)')\s*""", re.IGNORECASE)
_STAGES = re.compile(
    r"(fields\s+[\w@.,\s-]+|filter\s.+|sort\s+@timestamp(\s+(asc|desc))?|limit\s+\d+)\s*", re.IGNORECASE
)


class _UnsupportedQueryError(Exception):
    """This module does not support a stage of the query."""


def install() -> None:
    """Extend the emulator."""
    patch.wrap(cloudwatch_logs, "_public_log_record", _public_log_record)
    patch.wrap(cloudwatch_logs, "_compile_insights_filter", _compile_filter)
    patch.wrap(cloudwatch_logs, "_start_query", _start_query)


def _public_log_record(original: Callable[[Json], Json], record: Json) -> Json:
    return _discovered_fields(record) | original(record)


def _discovered_fields(record: Json) -> Json:
    try:
        line = json.loads(record.get("@message", ""))
    except (ValueError, RecursionError):
        return {}
    return line if isinstance(line, dict) else {}


def _compile_filter(original: Callable[[str], Predicate | None], stage: str) -> Predicate:
    if equality := _EQUALITY.fullmatch(stage.strip()):
        field, expected = equality[1], equality[2] if equality[2] is not None else equality[3]
        return lambda record: cloudwatch_logs._public_log_record(record).get(field) == expected
    predicate = original(stage)
    if predicate is None:
        raise _UnsupportedQueryError(stage.strip())
    return predicate


def _start_query(original: Callable[[Json], Any], data: Json) -> Any:
    try:
        for stage in cloudwatch_logs._split_insights_pipes(data.get("queryString", "")):
            _require_supported(stage.strip())
        return original(data)
    except _UnsupportedQueryError as error:
        return error_response_json(
            "MalformedQueryException",
            f'The emulator does not support `{error}`: it supports `fields`, `filter field = "text"`, '
            "`sort @timestamp` and `limit`.",
            400,
        )


def _require_supported(stage: str) -> None:
    if not _STAGES.fullmatch(stage):
        raise _UnsupportedQueryError(stage)
