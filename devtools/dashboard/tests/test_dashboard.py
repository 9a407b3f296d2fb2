"""A dashboard's body is read with its shorthand, and each line gets its own values."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from devtools.dashboard import data
from devtools.dashboard.widgets import Metric, parse

BODY = {
    "widgets": [
        {"type": "text", "x": 0, "y": 0, "width": 24, "height": 1, "properties": {"markdown": "# Title"}},
        {
            "type": "metric",
            "x": 0,
            "y": 1,
            "width": 12,
            "height": 6,
            "properties": {
                "title": "Calls",
                "stat": "Sum",
                "yAxis": {"left": {"label": "calls"}, "right": {"label": "ms"}},
                "metrics": [
                    ["Namespace", "Calls", "Stage", "test", {"label": "all"}],
                    [".", "Latency", ".", ".", "Step", "one", {"stat": "p95", "yAxis": "right"}],
                ],
            },
        },
    ]
}
CALLS = Metric(
    namespace="Namespace",
    name="Calls",
    dimensions=(("Stage", "test"),),
    statistic="Sum",
    label="all",
    axis="left",
)
LATENCY = Metric(
    namespace="Namespace",
    name="Latency",
    dimensions=(("Stage", "test"), ("Step", "one")),
    statistic="p95",
    label="Latency",
    axis="right",
)


class CloudWatch:
    """Answers queries with their place and their number of dimensions, in another order."""

    def get_metric_data(self, **request: Any) -> dict[str, Any]:
        results = [
            {
                "Id": query["Id"],
                "Timestamps": [datetime(2026, 1, 31, tzinfo=UTC)],
                "Values": [len(query["MetricStat"]["Metric"]["Dimensions"])],
            }
            for query in request["MetricDataQueries"]
        ]
        return {"MetricDataResults": results[::-1]}


def test_a_dot_stands_for_the_value_of_the_previous_metric() -> None:
    text, graph = parse(json.dumps(BODY))

    assert (text.markdown, text.metrics) == ("# Title", [])
    assert (graph.title, graph.axes) == ("Calls", {"left": "calls", "right": "ms"})
    assert graph.metrics == [CALLS, LATENCY]


def test_values_are_returned_in_the_order_of_the_metrics() -> None:
    metrics = [LATENCY, CALLS] * 400

    lines = list(data.read(CloudWatch(), metrics, timedelta(hours=1)))

    assert [values for _, values in lines] == [[2], [1]] * 400
