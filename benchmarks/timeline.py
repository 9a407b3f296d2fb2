"""Where the time of a ticket goes: its timeline, from the request to the end of its execution."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

API, START = "API", "Start"
KINDS = ("API", "orchestration", "waiting for a worker", "function", "AWS calls", "model")


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a ticket's time. `start` and `end` are in seconds since the ticket was sent.

    `row` is API, START or the name of a state; `kind` is one of KINDS.
    """

    row: str
    kind: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Invocation:
    """An invocation of a function, and its AWS calls (URL, start, end). Times are seconds since the epoch."""

    start: float
    end: float
    calls: Sequence[tuple[str, float, float]]


def timeline(
    sent: float, events: Sequence[Mapping[str, Any]], invocations: Sequence[Invocation]
) -> list[Span]:
    """The spans of a ticket, in order and without gaps.

    `events` are the lines of its execution's log, in order; `sent` is in seconds since the epoch.
    """
    entered = [
        (event["details"]["name"], _time(event)) for event in events if event["type"].endswith("StateEntered")
    ]
    begin, end = _time(events[0]), _time(events[-1])
    first = entered[0][1]
    spans = [Span(API, "API", sent, begin), Span(START, "orchestration", begin, first)]
    for (state, start), (_, next_start) in pairwise([*entered, ("", end)]):
        inside = [invocation for invocation in invocations if start <= invocation.start < next_start]
        spans += _state_spans(state, start, next_start, inside)
    return [Span(span.row, span.kind, span.start - sent, span.end - sent) for span in spans]


def mean_milliseconds(timelines: Sequence[Iterable[Span]]) -> dict[str, dict[str, float]]:
    """The mean time of a ticket, by row and kind."""
    totals: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for spans in timelines:
        for span in spans:
            totals[span.row][span.kind] += span.seconds * 1000 / len(timelines)
    return {row: dict(kinds) for row, kinds in totals.items()}


def to_text(means: Mapping[str, Mapping[str, float]]) -> str:
    """The means as a table, with sums."""
    kinds = [kind for kind in KINDS if any(kind in row for row in means.values())]
    sums = {kind: sum(row.get(kind, 0) for row in means.values()) for kind in kinds}
    lines = [("ms", *kinds, "total")]
    for name, row in [*means.items(), ("total", sums)]:
        lines.append((name, *(_cell(row.get(kind)) for kind in kinds), _cell(sum(row.values()))))
    first, *widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join([name.ljust(first), *map(str.rjust, cells, widths)]) for name, *cells in lines)


def _cell(milliseconds: float | None) -> str:
    return "" if milliseconds is None else f"{milliseconds:.1f}"


def _state_spans(state: str, start: float, end: float, invocations: Iterable[Invocation]) -> Iterator[Span]:
    """What one state did: wait, run functions, and go on to the next state."""
    for invocation in invocations:
        yield Span(state, "waiting for a worker", start, invocation.start)
        start = invocation.start
        for url, call_start, call_end in invocation.calls:
            yield Span(state, "function", start, call_start)
            yield Span(state, "model" if url.endswith("/converse") else "AWS calls", call_start, call_end)
            start = call_end
        yield Span(state, "function", start, invocation.end)
        start = invocation.end
    yield Span(state, "orchestration", start, end)


def _time(event: Mapping[str, Any]) -> float:
    return int(event["event_timestamp"]) / 1000
