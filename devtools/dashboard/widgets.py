"""The widgets of a CloudWatch dashboard, with the shorthand of their metrics written out.

Source: Amazon CloudWatch API reference, "Dashboard body structure and syntax".
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A line of a graph; `axis` is `left` or `right`."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str
    label: str
    axis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Widget:
    """A text or a graph, at columns and rows of the dashboard's grid, which has 24 columns.

    A graph has metrics, and the labels of its axes by `left` and `right`; a text has its Markdown.
    """

    x: int
    y: int
    width: int
    height: int
    title: str = ""
    markdown: str = ""
    metrics: Sequence[Metric] = ()
    axes: Mapping[str, str]


def parse(body: str) -> list[Widget]:
    """The widgets in a dashboard's body."""
    return [_widget(widget, widget["properties"]) for widget in json.loads(body)["widgets"]]


def _widget(widget: Mapping[str, Any], properties: Mapping[str, Any]) -> Widget:
    return Widget(
        x=widget["x"],
        y=widget["y"],
        width=widget["width"],
        height=widget["height"],
        title=properties.get("title", ""),
        markdown=properties.get("markdown", ""),
        metrics=list(_metrics(properties)),
        axes={side: axis["label"] for side, axis in properties.get("yAxis", {}).items()},
    )


def _metrics(properties: Mapping[str, Any]) -> Iterator[Metric]:
    previous: list[str] = []
    for line in properties.get("metrics", []):
        options = line[-1] if isinstance(line[-1], dict) else {}
        names = [name for name in line if isinstance(name, str)]
        # A dot stands for the value in the same place of the previous metric.
        previous = [previous[place] if name == "." else name for place, name in enumerate(names)]
        namespace, name, *dimensions = previous
        yield Metric(
            namespace=namespace,
            name=name,
            dimensions=tuple(zip(dimensions[::2], dimensions[1::2], strict=True)),
            statistic=options.get("stat", properties["stat"]),
            label=options.get("label", name),
            axis=options.get("yAxis", "left"),
        )
