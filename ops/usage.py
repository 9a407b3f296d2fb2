"""What a stack used in a period: sums of CloudWatch's metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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


def pipeline_metric(stage: str, name: str) -> Metric:
    """A metric that the functions record without a further dimension (docs/metrics.md)."""
    return Metric("SupportPipeline", name, (("service", "support-pipeline"), ("Stage", stage)))


@dataclass(frozen=True, slots=True)
class Query:
    """What to read of a metric: a statistic, such as Sum or p95, for each period."""

    metric: Metric
    statistic: str
    period: timedelta


def read_sums(client: Any, metrics: Iterable[Metric], window: TimeWindow) -> dict[Metric, float]:
    """The sum of each metric that has values in the window. Raises botocore's errors."""
    period = _FINE if window.end - window.start <= _FINE_MAX_AGE else _COARSE
    series = read_series(client, [Query(metric, "Sum", period) for metric in metrics], window)
    return {query.metric: sum(values.values()) for query, values in series.items() if values}


def read_series(
    client: Any, queries: Sequence[Query], window: TimeWindow
) -> dict[Query, dict[datetime, float]]:
    """The values of each query by the begin of their period. Raises botocore's errors."""
    by_id = {f"m{number}": query for number, query in enumerate(queries)}
    pages = client.get_paginator("get_metric_data").paginate(
        MetricDataQueries=[_query(key, query) for key, query in by_id.items()],
        StartTime=window.start,
        EndTime=window.end,
    )
    series: dict[Query, dict[datetime, float]] = {query: {} for query in queries}
    for result in (one for page in pages for one in page["MetricDataResults"]):
        series[by_id[result["Id"]]] |= zip(result["Timestamps"], result["Values"], strict=True)
    return series


def _query(key: str, query: Query) -> dict[str, Any]:
    metric, seconds = query.metric, int(query.period.total_seconds())
    dimensions = [{"Name": name, "Value": value} for name, value in metric.dimensions]
    named = {"Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": dimensions}
    return {"Id": key, "MetricStat": {"Metric": named, "Period": seconds, "Stat": query.statistic}}
