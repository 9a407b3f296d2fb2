"""What was measured, and the document (results.json) that holds it."""

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from statistics import median
from typing import Any

type Measurements = dict[str, list[float]]
"""The values of the interleaved runs by dotted key, such as `load.ticketsPerSecond`; never an empty list."""


def to_document(
    measurements: Mapping[str, list[float]], earlier: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write medians as nested JSON (`load.postP50Ms` → `{"load": {"postP50Ms": …}}`), to 3 digits.

    Beside them stand `spread` (dotted key → [lowest, highest]), `machine` and `date` (of this run). The
    figures of the `earlier` document that were not measured this time are kept.
    """
    document = dict(earlier or {})
    document["date"] = datetime.now(UTC).date().isoformat()
    document["machine"] = {"cores": os.cpu_count(), "python": platform.python_version()}
    spread = dict(document.pop("spread", {}))
    for key, values in measurements.items():
        _set(document, key.split("."), _rounded(median(values)))
        spread[key] = [_rounded(min(values)), _rounded(max(values))]
    return document | {"spread": dict(sorted(spread.items()))}


def figure(document: Mapping[str, Any], key: str) -> float | None:
    """The median at a dotted key of a document, or None if it was not measured."""
    value: Any = document
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value if isinstance(value, int | float) else None


def _set(document: dict[str, Any], path: list[str], value: float) -> None:
    *parents, name = path
    for parent in parents:
        document[parent] = dict(document.get(parent, {}))
        document = document[parent]
    document[name] = value


def _rounded(value: float) -> float:
    """Three significant digits; a whole number has no decimal point."""
    rounded = float(f"{value:.3g}")
    return int(rounded) if rounded.is_integer() else rounded
