"""Draws the figures of results.json in docs/performance/. The same figures always give the same files."""

from collections.abc import Mapping
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from local.settings import PROJECT

_FOLDER = PROJECT / "docs" / "performance"
STYLE = {
    "svg.hashsalt": "support-pipeline",
    # Text stays text, which is smaller than its outlines.
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_OURS, _REFERENCE = "#2563eb", "#cbd5e1"
_ARCHITECTURES = {
    "this pipeline": (),
    "Standard workflow": ("standard",),
    "queue and\ntwo functions": ("twoFunctions",),
}


def write(document: Mapping[str, Any]) -> None:
    """Draw what the results document has figures for."""
    drawings = {"coldStart": _cold_starts, "warm": _warm_calls, "cost": _cost}
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with rc_context(STYLE):
        for part, draw in drawings.items():
            if part in document:
                picture = draw(document[part])
                picture.savefig(_FOLDER / f"{part}.svg", format="svg", metadata={"Date": None})


def _cold_starts(figures: Mapping[str, Any]) -> Figure:
    names = list(figures)
    picture, axes = _axes("CPU time of a cold start in ms", height=0.45 * len(names) + 0.8)
    rows = range(len(names))
    for offset, key, color, label in (
        (-0.2, "cpuMs", _OURS, "the function"),
        (0.2, "bareCpuMs", _REFERENCE, "bare boto3, same clients"),
    ):
        values = [figures[name][key] for name in names]
        axes.barh([row + offset for row in rows], values, height=0.38, color=color, label=label)
    axes.set_yticks(rows, names)
    axes.invert_yaxis()
    return _with_legend(picture, columns=2)


def _warm_calls(figures: Mapping[str, Any]) -> Figure:
    names = list(figures)
    picture, axes = _axes("CPU time of a warm call in ms", height=0.4 * len(names) + 0.8)
    own = [figures[name]["cpuMs"] for name in names]
    botocore = [figures[name]["totalCpuMs"] - figures[name]["cpuMs"] for name in names]
    axes.barh(names, own, color=_OURS, label="our own")
    axes.barh(names, botocore, left=own, color=_REFERENCE, label="botocore")
    axes.invert_yaxis()
    return _with_legend(picture, columns=2)


def _cost(figures: Mapping[str, Any]) -> Figure:
    picture, axes = _axes("USD for a million tickets, mail as a digest", height=3.2)
    parts = sorted(figures["parts"], key=lambda name: -figures["parts"][name])
    lefts = dict.fromkeys(_ARCHITECTURES, 0.0)
    for number, part in enumerate(parts):
        for label, path in _ARCHITECTURES.items():
            costs = figures[path[0]] if path else figures
            cost = costs["parts"][part]
            axes.barh(
                label,
                cost,
                left=lefts[label],
                color=f"C{number % 10}",
                alpha=1 if number < 10 else 0.5,
                label=part if not path else None,
            )
            lefts[label] += cost
    axes.invert_yaxis()
    return _with_legend(picture, columns=4)


def _with_legend(picture: Figure, *, columns: int) -> Figure:
    picture.legend(loc="outside lower center", ncols=columns, frameon=False)
    return picture


def _axes(title: str, *, height: float) -> tuple[Figure, Any]:
    picture = Figure(figsize=(7, height), layout="constrained")
    axes = picture.add_subplot()
    axes.set_title(title, loc="left")
    return picture, axes
