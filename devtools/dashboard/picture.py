"""Draws widgets as they stand on the dashboard."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter
from matplotlib.figure import Figure

from devtools.dashboard.data import Line
from devtools.dashboard.widgets import Metric, Widget

_COLUMNS = 24
# Inches of a column and of a row of the grid, and the gaps around a graph in parts of the picture.
_COLUMN, _ROW = 0.7, 0.46
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.034, 0.036, 0.016, 0.02
# The part of a graph's height that is left to its legend.
_HEADROOM = 0.35
# Before the first minute and after the last.
_MARGIN = timedelta(minutes=1)
_STYLE = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "lines.linewidth": 1.4,
    "lines.markersize": 3,
}


def draw(widgets: Sequence[Widget], lines: Mapping[Metric, Line], path: Path) -> None:
    """Write the picture as PNG."""
    rows = max(widget.y + widget.height for widget in widgets)
    times = [time for line_times, _ in lines.values() for time in line_times]
    with rc_context(_STYLE):
        picture = Figure(figsize=(_COLUMNS * _COLUMN, rows * _ROW))
        for widget in widgets:
            left, width = widget.x / _COLUMNS, widget.width / _COLUMNS
            bottom, height = 1 - (widget.y + widget.height) / rows, widget.height / rows
            if widget.markdown:
                _write(picture, widget, left + 0.01, bottom + height)
            else:
                box = (left + _LEFT, bottom + _BOTTOM, width - _LEFT - _RIGHT, height - _TOP - _BOTTOM)
                axes = picture.add_axes(box)
                _plot(axes, widget, lines)
                if times:
                    axes.set_xlim(min(times) - _MARGIN, max(times) + _MARGIN)
        picture.savefig(path, format="png", dpi=90)


def _write(picture: Figure, widget: Widget, left: float, top: float) -> None:
    first, *rest = re.sub(r"\[([^]]*)]\([^)]*\)", r"\1", widget.markdown).splitlines()
    picture.text(left, top - _TOP / 2, first.lstrip("# "), va="top", weight="bold", size=13)
    picture.text(left, top - 1.9 * _TOP, "\n".join(rest), va="top", size=9)


def _plot(axes: Axes, widget: Widget, lines: Mapping[Metric, Line]) -> None:
    sides = {"left": axes}
    if "right" in widget.axes:
        sides["right"] = axes.twinx()
    for number, metric in enumerate(widget.metrics):
        times, values = lines[metric]
        style = {"left": "o-", "right": "s--"}[metric.axis]
        sides[metric.axis].plot(times, values, style, color=f"C{number % 10}", label=metric.label)
    for side, label in widget.axes.items():
        sides[side].set_ylabel(label)
        sides[side].margins(y=_HEADROOM)
        sides[side].set_ylim(bottom=0)
    axes.set_title(widget.title)
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M"))
    handles = [line for side in sides.values() for line in side.get_lines()]
    columns = 2 if len(handles) > 5 else 1
    axes.legend(handles=handles, ncols=columns, fontsize=6.5, loc="upper left", framealpha=0.6)
