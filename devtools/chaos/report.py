"""The evaluation of a run: a pure function of the observations."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import jsonschema
import yaml

from devtools.load.customers import Submission
from devtools.load.report import Report, number_of_tickets
from local.settings import PROJECT
from support.domain.analysis_schema import SCHEMA

_VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
_STATES = yaml.safe_load((PROJECT / "statemachine" / "ticket_pipeline.asl.yaml").read_text())["States"]
# When all retries of a function crash, the ticket is the likely cause, and needs a person.
_CRASHES = {"Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout", "States.Timeout"}
# After these errors a ticket only has to wait. All others need a person.
_PASSING_ERRORS = {
    error
    for state in _STATES.values()
    for catch in state.get("Catch", [])
    if catch["Next"] in {"Record Deferral", "Has Fallback Model?"}
    for error in catch["ErrorEquals"]
} - _CRASHES
_RULES = {
    "lost": "lost",
    "neverNotified": "without a notification",
    "wrongContent": "stored with content that nobody sent",
    "cannedAnalyses": "stored with an analysis that does not fit the content",
    "passingFailures": "FAILED with an error after which it only had to wait",
}

type Ticket = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """What was observed during and after a run; tickets are identified by their ids."""

    seed: int
    sent: Sequence[Submission]
    accepted: Collection[str]
    stored: Mapping[str, Ticket]
    notifications: Counter[str]
    failed_tickets_queue: Collection[str]
    """The tickets in the failed-tickets queue."""
    expected_analyses: Mapping[str, Mapping[str, Any]]
    """The expected values of at least `urgency`, `category` and `language`."""
    restarts: Mapping[str, Set[str]]
    """The tickets that were restarted: from the `waiting room`, and by `sweep`, `replay` and `recover`."""
    failed: Mapping[str, str]
    """The error of each ticket that was FAILED when the waiting room was empty, before any other step."""
    model_calls: int
    recovery_seconds: float


def evaluate(observed: Observations) -> Report:
    """Count, and check the rules: a ticket may have two notifications, but not none."""
    processed = [key for key in observed.accepted if _status(observed, key) == "PROCESSED"]
    offending = _offending(observed, processed)
    return Report(
        counts=_counts(observed, processed, offending),
        broken=[f"{number_of_tickets(len(ids))} {_RULES[name]}" for name, ids in offending.items() if ids],
        offending={name: ids for name, ids in offending.items() if ids},
    )


def _offending(observed: Observations, processed: Sequence[str]) -> dict[str, list[str]]:
    failed = {**observed.failed, **failure_errors(observed.stored)}
    return {
        "lost": [key for key in observed.accepted if _is_lost(observed, key)],
        "neverNotified": [key for key in observed.accepted if not observed.notifications[key]],
        "wrongContent": _wrong_content(observed),
        "cannedAnalyses": [key for key in processed if not _has_expected_analysis(observed, key)],
        "passingFailures": [key for key, error in failed.items() if error in _PASSING_ERRORS],
    }


def _counts(
    observed: Observations, processed: Sequence[str], offending: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    def restarted(step: str) -> int:
        return len(observed.restarts.get(step, ()))

    return {
        "seed": observed.seed,
        "accepted": len(observed.accepted),
        "processed": len(processed),
        "deferred": restarted("waiting room"),
        "failed": len(observed.failed),
        "replayed": restarted("replay"),
        "swept": restarted("sweep"),
        "recovered": restarted("recover"),
        "lost": len(offending["lost"]),
        "notifiedTwice": sum(times > 1 for times in observed.notifications.values()),
        "neverNotified": len(offending["neverNotified"]),
        "wrongContent": len(offending["wrongContent"]),
        "cannedAnalyses": len(offending["cannedAnalyses"]),
        "passingFailures": len(offending["passingFailures"]),
        "modelCallsPerTicket": round(observed.model_calls / max(1, len(observed.accepted)), 2),
        "recoverySeconds": round(observed.recovery_seconds, 1),
    }


def failure_errors(tickets: Mapping[str, Ticket]) -> dict[str, str]:
    """The error of each FAILED ticket, by its id."""
    return {
        key: ticket["failure"]["error"] for key, ticket in tickets.items() if ticket["status"] == "FAILED"
    }


def _status(observed: Observations, key: str) -> str | None:
    return observed.stored[key]["status"] if key in observed.stored else None


def _is_lost(observed: Observations, key: str) -> bool:
    status = _status(observed, key)
    return not (status == "PROCESSED" or (status == "FAILED" and key in observed.failed_tickets_queue))


def _wrong_content(observed: Observations) -> list[str]:
    """The stored tickets that differ from what was sent, or that nobody sent."""
    sent = {submission.key: (submission.content, submission.subject) for submission in observed.sent}
    return [
        key
        for key, ticket in observed.stored.items()
        if (ticket["content"], ticket.get("subject")) != sent.get(key)
    ]


def _has_expected_analysis(observed: Observations, key: str) -> bool:
    """Whether the ticket's analysis is valid, and the one that is expected for its content."""
    analysis, expected = observed.stored[key].get("analysis"), observed.expected_analyses[key]
    if analysis is None or not _VALIDATOR.is_valid(analysis):
        return False
    return all(analysis[name] == expected[name] for name in ("urgency", "category", "language"))
