"""The evaluation of a simulation: totals, and figures for the tickets that arrived in each phase."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from benchmarks.simulation.records import Finished, Records
from benchmarks.simulation.scenario import Scenario

PHASES = ("before the outage", "during the outage", "until the backlog is gone", "afterwards")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a group of tickets experienced; times in seconds."""

    tickets: int
    p50_seconds: float
    p95_seconds: float
    longest_seconds: float
    deferred_share: float
    throttled_calls_per_ticket: float
    failed_calls_per_ticket: float

    @classmethod
    def of(cls, group: Sequence[Finished]) -> Self:
        """The figures of at least one ticket."""
        seconds = sorted(ticket.seconds for ticket in group)
        return cls(
            tickets=len(group),
            p50_seconds=percentile(seconds, 0.5),
            p95_seconds=percentile(seconds, 0.95),
            longest_seconds=seconds[-1],
            deferred_share=sum(ticket.is_deferred for ticket in group) / len(group),
            throttled_calls_per_ticket=sum(ticket.throttled_calls for ticket in group) / len(group),
            failed_calls_per_ticket=sum(ticket.failed_calls for ticket in group) / len(group),
        )


def percentile(ascending: Sequence[float], share: float) -> float:
    """The smallest value that is not exceeded by this share of the values."""
    return ascending[math.ceil(share * len(ascending)) - 1]


def backlog_gone_at(records: Records, scenario: Scenario) -> float:
    """When, after the outage, no more tickets wait than arrive in a second; or when the last is finished."""
    last = max(ticket.arrived + ticket.seconds for ticket in records)
    gone = (now for now, size in records.backlog if now > scenario.outage_end and size <= scenario.rate)
    return min(next(gone, last), last)


def to_text(records: Records, scenario: Scenario) -> str:
    """The summary."""
    return "\n".join([*_headline(scenario), "", *_table(records, scenario), "", *_totals(records, scenario)])


def _headline(scenario: Scenario) -> Iterator[str]:
    yield (
        f"{scenario.rate:g} tickets a second for {_duration(scenario.seconds)}; the model is down from "
        f"{_duration(scenario.outage_start)} to {_duration(scenario.outage_end)}."
    )
    yield f"Quota: {scenario.quota} calls a second. ResumeConcurrency: {scenario.resume_concurrency}."


def _table(records: Records, scenario: Scenario) -> Iterator[str]:
    columns = ("number", "p50", "p95", "longest", "waited", "throttled", "failed")
    yield f"{'tickets that arrived':26}" + "".join(f"{column:>11}" for column in columns)
    groups = by_phase(records, scenario)
    for name, group in zip((*PHASES, "all"), (*groups, list(records)), strict=True):
        if group:
            figures = Figures.of(group)
            yield (
                f"{name:26}{figures.tickets:11,}{figures.p50_seconds:9.1f} s{figures.p95_seconds:9.1f} s"
                f"{figures.longest_seconds:9.1f} s{figures.deferred_share:11.1%}"
                f"{figures.throttled_calls_per_ticket:11.2f}{figures.failed_calls_per_ticket:11.2f}"
            )
    yield "waited: in the waiting room. throttled, failed: refused calls of the model for each ticket."


def by_phase(records: Records, scenario: Scenario) -> list[list[Finished]]:
    """The tickets that arrived in each of PHASES."""
    starts = [scenario.outage_start, scenario.outage_end, backlog_gone_at(records, scenario)]
    groups: list[list[Finished]] = [[] for _ in PHASES]
    for ticket in records:
        groups[bisect_right(starts, ticket.arrived)].append(ticket)
    return groups


def _totals(records: Records, scenario: Scenario) -> Iterator[str]:
    most = max(size for _, size in records.backlog)
    gone = backlog_gone_at(records, scenario) - scenario.outage_end
    last = max(ticket.arrived + ticket.seconds for ticket in records)
    yield f"At most {most:,} tickets waited; the backlog was gone {_duration(gone)} after the outage."
    yield f"The last notification was sent after {_duration(last)}."
    yield f"Accepted: {records.accepted:,}; processed: {len(records):,}."


def _duration(seconds: float) -> str:
    """`1:05:00`, or below an hour `5:00` (minutes)."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02} min"
