"""The dashboard: every graph shows metrics that somebody records, and the widgets fit together."""

import re
from itertools import combinations
from typing import Any

import pytest

from devtools import metric_series
from devtools.dashboard.widgets import Metric, Widget, parse
from tests.infrastructure.test_alarms import is_recorded


@pytest.fixture(scope="module")
def widgets(template: dict[str, Any]) -> list[Widget]:
    return parse(template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])


@pytest.fixture(scope="module")
def metrics(widgets: list[Widget]) -> list[Metric]:
    return [metric for widget in widgets for metric in widget.metrics]


def test_every_graph_shows_metrics_that_are_recorded_with_its_dimensions(metrics: list[Metric]) -> None:
    for metric in metrics:
        assert is_recorded(metric.namespace, metric.name, set(dict(metric.dimensions))), metric


def test_the_values_of_dimensions_are_those_that_the_functions_record(metrics: list[Metric]) -> None:
    for metric in metrics:
        for name, value in dict(metric.dimensions).items():
            if metric.namespace == "SupportPipeline" and name in metric_series.DIMENSION_VALUES:
                assert value in metric_series.DIMENSION_VALUES[name], metric


def test_a_graph_shows_every_urgency_category_step_and_reason(metrics: list[Metric]) -> None:
    shown = {pair for metric in metrics for pair in metric.dimensions}
    for name in ("Urgency", "Category", "Step", "Reason", "Field"):
        assert {(name, value) for value in metric_series.DIMENSION_VALUES[name]} <= shown


def test_every_line_has_a_label_of_its_own_and_an_axis(widgets: list[Widget]) -> None:
    for widget in widgets:
        labels = [metric.label for metric in widget.metrics]
        assert len(set(labels)) == len(labels) <= 10
        assert {metric.axis for metric in widget.metrics} == set(widget.axes)


def test_the_widgets_fill_the_grid_without_overlapping(widgets: list[Widget]) -> None:
    for one, other in combinations(widgets, 2):
        is_beside = one.x + one.width <= other.x or other.x + other.width <= one.x
        assert is_beside or one.y + one.height <= other.y or other.y + other.height <= one.y
    rows = max(widget.y + widget.height for widget in widgets)
    assert sum(widget.width * widget.height for widget in widgets) == 24 * rows


def test_texts_link_the_state_machine_and_name_the_guides(
    widgets: list[Widget], template: dict[str, Any]
) -> None:
    texts = " ".join(widget.markdown for widget in widgets)
    assert "docs/runbook.md" in texts
    assert re.search(r"\[State machine]\(https://[^)]*\$\{TicketPipeline\}\)", texts)
    references = set(re.findall(r"\$\{(\w+)", str(template["Resources"]["Dashboard"])))
    assert references - {"AWS", "Stage"} <= set(template["Resources"])
