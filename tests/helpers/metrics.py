"""Reads the metrics that functions write to their output."""

import json
from collections import defaultdict
from typing import Any

COMMON = {"service": "support-pipeline", "Stage": "test"}

# The name, and the dimension besides COMMON: `TaskFailed`, `TaskFailed Step=Store Ticket`.
type Values = dict[str, list[float]]


def recorded(output: str) -> Values:
    """The values of each metric in lines in the embedded metric format, as CloudWatch reads them."""
    values: Values = defaultdict(list)
    for line in map(json.loads, output.splitlines()):
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            assert directive["Namespace"] == "SupportPipeline"
            for dimensions in directive["Dimensions"]:
                for metric in directive["Metrics"]:
                    values[_key(metric["Name"], dimensions, line)] += line[metric["Name"]]
    return dict(values)


def _key(metric: str, dimensions: list[str], line: dict[str, Any]) -> str:
    assert {name: line[name] for name in COMMON} == COMMON
    assert set(dimensions) >= set(COMMON)
    further = [f"{name}={line[name]}" for name in dimensions if name not in COMMON]
    return " ".join([metric, *further])
