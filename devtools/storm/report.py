"""The evaluation of a run: a pure function of the observations."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from devtools.load.latency import Tickets, latencies, notified_at
from devtools.load.pipeline import is_notified
from devtools.load.report import Report, number_of_tickets

# A fresh ticket is slow if it takes more than three times as long as on an idle stack.
_SLOW_FACTOR = 3
_RULES = {
    "refused": "never accepted",
    "unfinished": "neither notified nor FAILED in time",
    "failed": "FAILED",
    "failureMessages": "in the failed-tickets queue",
    "neverNotified": "without a notification",
    "notifiedTwice": "with more than one notification",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a scenario, in addition to the rules for every ticket of every scenario."""

    elapsed_seconds: float = math.inf
    """From the start of the load to the last notification."""
    throttled_calls_per_ticket: float = math.inf
    answered_calls_per_ticket: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """What was observed during and after a run; tickets are identified by their ids."""

    started: float
    """When the load started, in seconds since the epoch."""
    accepted: Mapping[str, float]
    """When each ticket was accepted, in seconds since the epoch."""
    refused: Sequence[str] = ()
    """The keys of the tickets that were never accepted."""
    stored: Tickets
    notifications: Counter[str]
    failures: Mapping[str, str] = field(default_factory=dict)
    """The errors of the tickets in the failed-tickets queue."""
    calls: Mapping[str, int]
    """The number of calls of the model, by outcome."""
    idle_seconds: float | None = None
    fresh: Sequence[str] = ()
    peak_memory_bytes: int | None = None
    errors: Sequence[str] = ()
    """Errors that no ticket shows."""


def evaluate(observed: Observations, limits: Limits) -> Report:
    """Count, and check the counts against the rules and the limits."""
    offending = _offending(observed)
    counts = _counts(observed, offending)
    return Report(
        counts=counts,
        broken=[*_broken_rules(observed, offending), *_exceeded_limits(counts, limits), *observed.errors],
        offending={name: ids for name, ids in offending.items() if ids},
    )


def _offending(observed: Observations) -> dict[str, list[str]]:
    pending = [key for key in observed.accepted if not is_notified(observed.stored.get(key))]
    return {
        "refused": list(observed.refused),
        "unfinished": [key for key in pending if _status(observed, key) != "FAILED"],
        "failed": [key for key in pending if _status(observed, key) == "FAILED"],
        "failureMessages": list(observed.failures),
        "neverNotified": [key for key in observed.accepted if not observed.notifications[key]],
        "notifiedTwice": [key for key, times in observed.notifications.items() if times > 1],
    }


def _counts(observed: Observations, offending: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    times = notified_at(observed.stored, observed.accepted)
    elapsed = max(times.values(), default=observed.started) - observed.started
    sent = [at - observed.started for key, at in observed.accepted.items() if key not in observed.fresh]
    during_load = sum(at >= observed.started for at in times.values())
    new = [key for key, at in observed.accepted.items() if at >= observed.started]
    seconds = sorted(latencies(observed.stored, observed.accepted, new))
    tickets = max(1, len(observed.accepted))
    counts: dict[str, Any] = {
        "accepted": len(observed.accepted),
        "processed": len(times),
        **{name: len(ids) for name, ids in offending.items()},
        "modelCalls": {outcome: count for outcome, count in observed.calls.items() if count},
        "throttledCallsPerTicket": round(observed.calls["throttle"] / tickets, 2),
        "answeredCallsPerTicket": round(observed.calls["ok"] / tickets, 4),
        "sentSeconds": round(max([0.0, *sent]), 1),
        "elapsedSeconds": round(elapsed, 1),
        "ticketsPerSecond": round(during_load / elapsed, 2) if elapsed else 0,
        "p50Seconds": _percentile(seconds, 0.5),
        "p95Seconds": _percentile(seconds, 0.95),
    }
    if observed.peak_memory_bytes is not None:
        counts["peakMemoryMegabytes"] = round(observed.peak_memory_bytes / 1_000_000)
    if observed.idle_seconds is not None:
        counts |= _fresh_counts(observed, observed.idle_seconds)
    return counts


def _fresh_counts(observed: Observations, idle_seconds: float) -> dict[str, Any]:
    """How long single tickets took while others waited; a ticket without a notification counts as slow."""
    seconds = sorted(latencies(observed.stored, observed.accepted, observed.fresh))
    in_time = sum(one <= _SLOW_FACTOR * idle_seconds for one in seconds)
    return {
        "idleSeconds": round(idle_seconds, 3),
        "fresh": len(observed.fresh),
        "freshP50Seconds": _percentile(seconds, 0.5),
        "freshP90Seconds": _percentile(seconds, 0.9),
        "freshSlow": len(observed.fresh) - in_time,
    }


def _percentile(ascending: Sequence[float], share: float) -> float | None:
    """The smallest value that is not exceeded by this share of the values."""
    return round(ascending[math.ceil(share * len(ascending)) - 1], 3) if ascending else None


def _broken_rules(observed: Observations, offending: Mapping[str, Sequence[str]]) -> Iterator[str]:
    errors: dict[str, list[str | None]] = {
        "failed": [(observed.stored[key].get("failure") or {}).get("error") for key in offending["failed"]],
        "failureMessages": [*observed.failures.values()],
    }
    for name, ids in offending.items():
        if ids:
            yield f"{number_of_tickets(len(ids))} {_RULES[name]}{_error_counts(errors.get(name, []))}"


def _exceeded_limits(counts: Mapping[str, Any], limits: Limits) -> Iterator[str]:
    limited = (
        ("elapsedSeconds", limits.elapsed_seconds, "s from the start of the load to the last notification"),
        ("throttledCallsPerTicket", limits.throttled_calls_per_ticket, "throttled calls per ticket"),
        ("answeredCallsPerTicket", limits.answered_calls_per_ticket, "answered calls per ticket"),
    )
    for name, limit, unit in limited:
        if counts[name] > limit:
            yield f"{counts[name]} {unit}, more than the limit of {limit:g}"


def _error_counts(errors: Iterable[str | None]) -> str:
    counted = Counter(error or "no error recorded" for error in errors).most_common()
    return f" ({', '.join(f'{error} {times}' for error, times in counted)})" if counted else ""


def _status(observed: Observations, key: str) -> Any:
    return observed.stored.get(key, {}).get("status")
