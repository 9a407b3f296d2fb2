"""What a run proves: a pure function of what was sent and what was found."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from devtools.load.pipeline import is_final
from devtools.storm.progress import Tickets, announced_at, seconds_taken

_SLOW = 3
"""A fresh ticket that takes more than three times as long as on an idle stack is slow."""
_WORDS = {
    "refused": "never accepted",
    "unfinished": "neither announced nor FAILED in time",
    "failed": "FAILED",
    "failureMessages": "in the failed-tickets queue",
    "announcedNever": "never announced",
    "announcedTwice": "announced more than once",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a scenario asks for, beside what holds for every ticket of every scenario."""

    elapsed_seconds: float = math.inf
    """From the beginning of the load to the last announcement."""
    throttled_calls_per_ticket: float = math.inf
    answered_calls_per_ticket: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a run left behind, all of it by ticket id."""

    began: float
    """When the load began, in seconds since the epoch."""
    accepted: Mapping[str, float]
    """When each ticket was accepted, in seconds since the epoch."""
    refused: Sequence[str] = ()
    """The keys of those that were never accepted."""
    stored: Tickets
    announcements: Counter[str]
    failures: Mapping[str, str] = field(default_factory=dict)
    """The errors in the failed-tickets queue."""
    calls: Mapping[str, int]
    """How many calls of the model met which outcome."""
    idle_seconds: float | None = None
    fresh: Sequence[str] = ()
    peak_memory_bytes: int | None = None
    complaints: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The counts of a run, the rules that it broke, and the tickets that broke them."""

    counts: Mapping[str, Any]
    broken: Sequence[str]
    """One phrase for each rule."""
    offending: Mapping[str, Sequence[str]]

    @property
    def is_kept(self) -> bool:
        """Whether overload was latency, and nothing else."""
        return not self.broken

    def to_document(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {
            **self.counts,
            "kept": self.is_kept,
            "broken": list(self.broken),
            "offending": {name: list(ids) for name, ids in self.offending.items()},
        }


def judge(found: Found, limits: Limits) -> Verdict:
    """Count, and hold the counts against the rules."""
    offending = _offending(found)
    counts = _counts(found, offending)
    return Verdict(
        counts=counts,
        broken=[*_broken_for_tickets(found, offending), *_broken_limits(counts, limits), *found.complaints],
        offending={name: ids for name, ids in offending.items() if ids},
    )


def _offending(found: Found) -> dict[str, list[str]]:
    pending = [key for key in found.accepted if not is_final(found.stored.get(key))]
    return {
        "refused": list(found.refused),
        "unfinished": [key for key in pending if _status(found, key) != "FAILED"],
        "failed": [key for key in pending if _status(found, key) == "FAILED"],
        "failureMessages": list(found.failures),
        "announcedNever": [key for key in found.accepted if not found.announcements[key]],
        "announcedTwice": [key for key, times in found.announcements.items() if times > 1],
    }


def _counts(found: Found, offending: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    times = announced_at(found.stored, found.accepted)
    elapsed = max(times.values(), default=found.began) - found.began
    sent = [at - found.began for key, at in found.accepted.items() if key not in found.fresh]
    in_load = sum(at >= found.began for at in times.values())
    tickets = max(1, len(found.accepted))
    counts: dict[str, Any] = {
        "accepted": len(found.accepted),
        "processed": len(times),
        **{name: len(ids) for name, ids in offending.items()},
        "modelCalls": {outcome: count for outcome, count in found.calls.items() if count},
        "throttledCallsPerTicket": round(found.calls["throttle"] / tickets, 2),
        "answeredCallsPerTicket": round(found.calls["ok"] / tickets, 4),
        "sentSeconds": round(max([0.0, *sent]), 1),
        "elapsedSeconds": round(elapsed, 1),
        "ticketsPerSecond": round(in_load / elapsed, 2) if elapsed else 0,
    }
    if found.peak_memory_bytes is not None:
        counts["peakMemoryMegabytes"] = round(found.peak_memory_bytes / 1_000_000)
    if found.idle_seconds is not None:
        counts |= _fresh_counts(found, found.idle_seconds)
    return counts


def _fresh_counts(found: Found, idle_seconds: float) -> dict[str, Any]:
    """How long single tickets took while others waited; one that was never announced counts as slow."""
    taken = sorted(seconds_taken(found.stored, found.accepted, found.fresh))
    in_time = sum(seconds <= _SLOW * idle_seconds for seconds in taken)
    return {
        "idleSeconds": round(idle_seconds, 3),
        "fresh": len(found.fresh),
        "freshP50Seconds": _percentile(taken, 0.5),
        "freshP90Seconds": _percentile(taken, 0.9),
        "freshSlow": len(found.fresh) - in_time,
    }


def _percentile(ascending: Sequence[float], share: float) -> float | None:
    """The smallest of the values that so large a share of them does not exceed."""
    return round(ascending[math.ceil(share * len(ascending)) - 1], 3) if ascending else None


def _broken_for_tickets(found: Found, offending: Mapping[str, Sequence[str]]) -> Iterator[str]:
    errors: dict[str, list[str | None]] = {
        "failed": [(found.stored[key].get("failure") or {}).get("error") for key in offending["failed"]],
        "failureMessages": [*found.failures.values()],
    }
    for name, ids in offending.items():
        if ids:
            reasons = _tally(errors.get(name, []))
            yield f"{len(ids)} {'ticket' if len(ids) == 1 else 'tickets'} {_WORDS[name]}{reasons}"


def _broken_limits(counts: Mapping[str, Any], limits: Limits) -> Iterator[str]:
    held = (
        ("elapsedSeconds", limits.elapsed_seconds, "s from the beginning to the last announcement"),
        ("throttledCallsPerTicket", limits.throttled_calls_per_ticket, "throttled calls a ticket"),
        ("answeredCallsPerTicket", limits.answered_calls_per_ticket, "answered calls a ticket"),
    )
    for name, most, words in held:
        if counts[name] > most:
            yield f"{counts[name]} {words}, where {most:g} are allowed"


def _tally(errors: Iterable[str | None]) -> str:
    counted = Counter(error or "no error noted" for error in errors).most_common()
    return f" ({', '.join(f'{error} {times}' for error, times in counted)})" if counted else ""


def _status(found: Found, key: str) -> Any:
    return found.stored.get(key, {}).get("status")
