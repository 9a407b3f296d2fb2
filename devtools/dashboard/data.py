"""Reads the values of metrics with GetMetricData."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any

from devtools.dashboard.widgets import Metric

# The times and the values of a metric.
type Line = tuple[list[datetime], list[float]]

_PERIOD_SECONDS = 60
# The limit of GetMetricData.
_MAX_QUERIES = 500


def read(client: Any, metrics: Sequence[Metric], since: timedelta) -> Iterator[Line]:
    """The values of each metric by minute, in their order; `client` is a CloudWatch client."""
    end = datetime.now(UTC)
    for batch in batched(metrics, _MAX_QUERIES, strict=False):
        results = client.get_metric_data(
            MetricDataQueries=[_query(f"m{number}", metric) for number, metric in enumerate(batch)],
            StartTime=end - since,
            EndTime=end,
            ScanBy="TimestampAscending",
        )["MetricDataResults"]
        lines = {result["Id"]: (result["Timestamps"], result["Values"]) for result in results}
        yield from (lines[f"m{number}"] for number in range(len(batch)))


def _query(query_id: str, metric: Metric) -> dict[str, Any]:
    dimensions = [{"Name": name, "Value": value} for name, value in metric.dimensions]
    return {
        "Id": query_id,
        "MetricStat": {
            "Metric": {
                "Namespace": metric.namespace,
                "MetricName": metric.name,
                "Dimensions": dimensions,
            },
            "Period": _PERIOD_SECONDS,
            "Stat": metric.statistic,
        },
    }
