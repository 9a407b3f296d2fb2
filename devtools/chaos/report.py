"""What a run proves: a pure function of what was sent and what was found."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import jsonschema
import yaml

from devtools.load.submission import Submission
from local.deploy import PROJECT
from support.domain.analysis_schema import SCHEMA

_VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
_STATES = yaml.safe_load((PROJECT / "statemachine" / "ticket_pipeline.asl.yaml").read_text())["States"]
# When a function dies or takes too long three times in a row, it is by then the ticket's doing.
_DEATHS = {"Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout", "States.Timeout"}
# What only has to wait. All other errors need a person.
_PASSING = {
    error
    for state in _STATES.values()
    for catch in state.get("Catch", [])
    if catch["Next"] in {"Record Deferral", "Has Fallback Model?"}
    for error in catch["ErrorEquals"]
} - _DEATHS

type Reading = Mapping[str, Any]
"""The analysis that the rules give a text: at least `urgency`, `category` and `language`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a run left behind, all of it by ticket id."""

    seed: int
    sent: Sequence[Submission]
    accepted: Mapping[str, Submission]
    stored: Mapping[str, Mapping[str, Any]]
    announcements: Counter[str]
    waiting: frozenset[str]
    """In the failed-tickets queue."""
    readings: Mapping[str, Reading]
    restarts: Mapping[str, Set[str]]
    """The tickets that were started again: from the `waiting room`, and by `sweep`, `replay`, `recover`."""
    failed: Mapping[str, str]
    """The error of each that was FAILED when the waiting room was empty, before anybody did anything."""
    model_calls: int
    recovery_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The counts of a run, and the tickets behind those that must be zero."""

    seed: int
    accepted: int
    processed: int
    deferred: int
    failed: int
    replayed: int
    swept: int
    recovered: int
    lost: int
    announced_twice: int
    announced_never: int
    wrong_content: int
    canned_analyses: int
    passing_failures: int
    model_calls_per_ticket: float
    recovery_seconds: float
    offending: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Ticket ids by the count that they spoil."""

    @property
    def is_kept(self) -> bool:
        """Whether the promise was kept: announced twice is allowed, announced never is not."""
        return not (
            self.lost
            or self.announced_never
            or self.wrong_content
            or self.canned_analyses
            or self.passing_failures
        )

    def to_document(self) -> dict[str, Any]:
        """The counts as JSON."""
        return {
            "seed": self.seed,
            "accepted": self.accepted,
            "processed": self.processed,
            "deferred": self.deferred,
            "failed": self.failed,
            "replayed": self.replayed,
            "swept": self.swept,
            "recovered": self.recovered,
            "lost": self.lost,
            "announcedTwice": self.announced_twice,
            "announcedNever": self.announced_never,
            "wrongContent": self.wrong_content,
            "cannedAnalyses": self.canned_analyses,
            "passingFailures": self.passing_failures,
            "modelCallsPerTicket": self.model_calls_per_ticket,
            "recoverySeconds": self.recovery_seconds,
        }


def judge(found: Found) -> Verdict:
    """Count."""
    processed = [key for key in found.accepted if _status(found, key) == "PROCESSED"]
    offending = {
        "lost": [key for key in found.accepted if _is_lost(found, key)],
        "announcedNever": [key for key in found.accepted if not found.announcements[key]],
        "wrongContent": _wrong_content(found),
        "cannedAnalyses": [key for key in processed if not _is_reading_of(found, key)],
        "passingFailures": [
            key for key, error in {**found.failed, **errors(found.stored)}.items() if error in _PASSING
        ],
    }
    return Verdict(
        seed=found.seed,
        accepted=len(found.accepted),
        processed=len(processed),
        deferred=len(found.restarts.get("waiting room", ())),
        failed=len(found.failed),
        replayed=len(found.restarts.get("replay", ())),
        swept=len(found.restarts.get("sweep", ())),
        recovered=len(found.restarts.get("recover", ())),
        lost=len(offending["lost"]),
        announced_twice=sum(times > 1 for times in found.announcements.values()),
        announced_never=len(offending["announcedNever"]),
        wrong_content=len(offending["wrongContent"]),
        canned_analyses=len(offending["cannedAnalyses"]),
        passing_failures=len(offending["passingFailures"]),
        model_calls_per_ticket=round(found.model_calls / max(1, len(found.accepted)), 2),
        recovery_seconds=round(found.recovery_seconds, 1),
        offending={name: keys for name, keys in offending.items() if keys},
    )


def errors(tickets: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The error of each FAILED ticket, by its id."""
    return {
        key: ticket["failure"]["error"] for key, ticket in tickets.items() if ticket["status"] == "FAILED"
    }


def _status(found: Found, key: str) -> str | None:
    return found.stored[key]["status"] if key in found.stored else None


def _is_lost(found: Found, key: str) -> bool:
    status = _status(found, key)
    return not (status == "PROCESSED" or (status == "FAILED" and key in found.waiting))


def _wrong_content(found: Found) -> list[str]:
    """Tickets that differ from what was sent, and those that nobody sent."""
    sent = {submission.key: submission for submission in found.sent}
    wrong = []
    for key, ticket in found.stored.items():
        submission = sent.get(key)
        if submission is None or (ticket["content"], ticket.get("subject")) != (
            submission.content,
            submission.subject,
        ):
            wrong.append(key)
    return wrong


def _is_reading_of(found: Found, key: str) -> bool:
    """Whether the ticket's analysis is valid, and the one that belongs to its text."""
    analysis, reading = found.stored[key].get("analysis"), found.readings[key]
    if analysis is None or not _VALIDATOR.is_valid(analysis):
        return False
    return all(analysis[name] == reading[name] for name in ("urgency", "category", "language"))
