"""What a stack used in a period: sums of CloudWatch's metrics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ops.log_reader import TimeWindow

# AWS keeps values of five minutes for 63 days, and of an hour for 455 days.
_FINE = timedelta(minutes=5)
_COARSE = timedelta(hours=1)
_FINE_MAX_AGE = timedelta(days=10)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric in CloudWatch: its namespace, name and dimensions."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]


def read_sums(client: Any, metrics: Iterable[Metric], window: TimeWindow) -> dict[Metric, float]:
    """The sum of each metric that has values in the window. Raises botocore's errors."""
    period = _FINE if window.end - window.start <= _FINE_MAX_AGE else _COARSE
    by_id = {f"m{number}": metric for number, metric in enumerate(metrics)}
    pages = client.get_paginator("get_metric_data").paginate(
        MetricDataQueries=[_query(key, metric, period) for key, metric in by_id.items()],
        StartTime=window.start,
        EndTime=window.end,
    )
    sums: dict[Metric, float] = {}
    for result in (one for page in pages for one in page["MetricDataResults"]):
        if result["Values"]:
            metric = by_id[result["Id"]]
            sums[metric] = sums.get(metric, 0) + sum(result["Values"])
    return sums


def _query(key: str, metric: Metric, period: timedelta) -> dict[str, Any]:
    dimensions = [{"Name": name, "Value": value} for name, value in metric.dimensions]
    named = {"Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": dimensions}
    return {"Id": key, "MetricStat": {"Metric": named, "Period": int(period.total_seconds()), "Stat": "Sum"}}
