"""The picture of a ticket's timeline."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmarks.plots import STYLE
from benchmarks.timeline import KINDS, Span

_COLORS = dict(zip(KINDS, ("#9e9e9e", "#4477aa", "#ddcc77", "#cc6677", "#44aa99", "#882255"), strict=True))


def draw(spans: Sequence[Span], title: str, path: Path) -> None:
    """Draw one bar for the API, the start and each state, coloured by what the time went into, as SVG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context(STYLE):
        _figure(spans, title).savefig(path, format="svg", metadata={"Date": None})


def _figure(spans: Sequence[Span], title: str) -> Figure:
    rows = list(dict.fromkeys(span.row for span in spans))
    figure = Figure(figsize=(7, 0.35 * len(rows) + 1.6), layout="constrained")
    axes = figure.add_subplot()
    for kind in KINDS:
        of_kind = [span for span in spans if span.kind == kind]
        axes.barh(
            [rows.index(span.row) for span in of_kind],
            [span.seconds * 1000 for span in of_kind],
            left=[span.start * 1000 for span in of_kind],
            color=_COLORS[kind],
            label=kind,
        )
    axes.set_yticks(range(len(rows)), rows)
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds since the request was sent")
    axes.set_title(title, loc="left")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure
