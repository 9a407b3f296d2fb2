"""The picture of a simulated day."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmarks.simulation.records import Finished, Records
from benchmarks.simulation.report import backlog_gone_at, percentile
from benchmarks.simulation.scenario import Scenario

_STYLE = {
    "svg.hashsalt": "support-pipeline",
    # Text stays text, which is smaller than its outlines.
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_MARGIN_MINUTES = 20


def draw(records: Records, scenario: Scenario, path: Path) -> None:
    """Draw the backlog, the latency and the refused calls around the outage, as SVG."""

    def minute(at: float) -> int:
        """The minute since the start of the outage."""
        return int((at - scenario.outage_start) // 60)

    with rc_context(_STYLE):
        figure = Figure(figsize=(7, 6), layout="constrained")
        backlog, latency, calls = figure.subplots(3, sharex=True)
        for axes in (backlog, latency, calls):
            axes.axvspan(0, scenario.outage_seconds / 60, color="#fee2e2")
        _draw_backlog(backlog, records, minute)
        by_minute = _by_minute(records, minute)
        _draw_latency(latency, by_minute)
        _draw_refused_calls(calls, by_minute)
        calls.set_xlim(-_MARGIN_MINUTES, minute(backlog_gone_at(records, scenario)) + _MARGIN_MINUTES)
        calls.set_xlabel("minutes since the start of the outage")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _by_minute(records: Records, minute: Callable[[float], int]) -> dict[int, list[Finished]]:
    groups = defaultdict(list)
    for ticket in records:
        groups[minute(ticket.arrived)].append(ticket)
    return dict(sorted(groups.items()))


def _draw_backlog(axes: Any, records: Records, minute: Callable[[float], int]) -> None:
    axes.set_title("tickets that have to wait", loc="left")
    sizes = {minute(at): size for at, size in records.backlog}
    axes.plot(list(sizes), list(sizes.values()), color="#2563eb")


def _draw_latency(axes: Any, by_minute: dict[int, list[Finished]]) -> None:
    axes.set_title("seconds to the notification, by the minute of arrival", loc="left")
    seconds = [sorted(ticket.seconds for ticket in tickets) for tickets in by_minute.values()]
    for share, color in ((0.5, "#2563eb"), (0.95, "#93c5fd")):
        values = [percentile(ascending, share) for ascending in seconds]
        axes.plot(list(by_minute), values, color=color, label=f"p{share * 100:.0f}")
    axes.set_yscale("log")
    axes.legend(frameon=False)


def _draw_refused_calls(axes: Any, by_minute: dict[int, list[Finished]]) -> None:
    axes.set_title("refused calls of the model for each ticket, by the minute of arrival", loc="left")
    for name, color in (("throttled", "#2563eb"), ("failed", "#dc2626")):
        values = [
            sum(getattr(ticket, f"{name}_calls") for ticket in tickets) / len(tickets)
            for tickets in by_minute.values()
        ]
        axes.plot(list(by_minute), values, color=color, label=name)
    axes.legend(frameon=False)
