"""The evaluation of a run."""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from devtools.load.report import Report
from devtools.storm.report import Limits, Observations, evaluate

STARTED = datetime.fromisoformat("2026-11-29T20:53:20Z").timestamp()
NOTIFIED = {"status": "PROCESSED", "notifiedAt": "2026-11-29T20:53:30.000Z"}  # 10 s later
FAILED = {"status": "FAILED", "failure": {"error": "ModelThrottled"}}
UNFINISHED = "1 ticket neither notified nor FAILED in time"
TWICE = "1 ticket with more than one notification"
OBSERVED = Observations(
    started=STARTED,
    accepted={"one": STARTED + 1, "two": STARTED + 2},
    stored={"one": NOTIFIED, "two": NOTIFIED},
    notifications=Counter(one=1, two=1),
    calls={"total": 5, "ok": 2, "throttle": 3, "error": 0},
)


def report(limits: Limits | None = None, **changes: Any) -> Report:
    return evaluate(replace(OBSERVED, **changes), limits or Limits())


def test_when_every_ticket_has_one_notification_the_promise_is_kept() -> None:
    result = report()

    assert result.promise_kept
    assert result.to_document() == {
        "accepted": 2,
        "processed": 2,
        "refused": 0,
        "unfinished": 0,
        "failed": 0,
        "failureMessages": 0,
        "neverNotified": 0,
        "notifiedTwice": 0,
        "modelCalls": {"total": 5, "ok": 2, "throttle": 3},
        "throttledCallsPerTicket": 1.5,
        "answeredCallsPerTicket": 1.0,
        "sentSeconds": 2.0,
        "elapsedSeconds": 10.0,
        "ticketsPerSecond": 0.2,
        "p50Seconds": 8.0,
        "p95Seconds": 9.0,
        "kept": True,
        "broken": [],
        "offending": {},
    }


@pytest.mark.parametrize(
    ("changes", "count", "key", "phrase"),
    [
        ({"refused": ["three"]}, "refused", "three", "1 ticket never accepted"),
        (
            {"stored": {"one": NOTIFIED}},
            "unfinished",
            "two",
            UNFINISHED,
        ),
        (
            {"stored": {"one": NOTIFIED, "two": {"status": "PROCESSED"}}},
            "unfinished",
            "two",
            UNFINISHED,
        ),
        (
            {"stored": {"one": NOTIFIED, "two": FAILED}},
            "failed",
            "two",
            "1 ticket FAILED (ModelThrottled 1)",
        ),
        (
            {"failures": {"two": "ModelRejected"}},
            "failureMessages",
            "two",
            "1 ticket in the failed-tickets queue (ModelRejected 1)",
        ),
        ({"notifications": Counter(one=1)}, "neverNotified", "two", "1 ticket without a notification"),
        (
            {"notifications": Counter(one=1, two=2)},
            "notifiedTwice",
            "two",
            TWICE,
        ),
    ],
)
def test_a_ticket_without_exactly_one_notification_breaks_the_promise(
    changes: dict[str, Any], count: str, key: str, phrase: str
) -> None:
    result = report(**changes)

    assert not result.promise_kept
    assert result.counts[count] == 1
    assert result.offending[count] == [key]
    assert list(result.broken) == [phrase]


def test_the_errors_of_failed_tickets_are_counted() -> None:
    result = report(stored={"one": FAILED, "two": {"status": "FAILED"}})

    assert list(result.broken) == ["2 tickets FAILED (ModelThrottled 1, no error recorded 1)"]


@pytest.mark.parametrize(
    ("limits", "phrase"),
    [
        (
            Limits(elapsed_seconds=9.9),
            "10.0 s from the start of the load to the last notification, more than the limit of 9.9",
        ),
        (Limits(throttled_calls_per_ticket=1), "1.5 throttled calls per ticket, more than the limit of 1"),
        (Limits(answered_calls_per_ticket=0.5), "1.0 answered calls per ticket, more than the limit of 0.5"),
    ],
)
def test_a_count_above_its_limit_breaks_the_promise(limits: Limits, phrase: str) -> None:
    result = report(limits)

    assert list(result.broken) == [phrase]


def test_a_count_at_its_limit_is_allowed() -> None:
    limits = Limits(elapsed_seconds=10, throttled_calls_per_ticket=1.5, answered_calls_per_ticket=1)

    assert report(limits).promise_kept


def test_an_error_that_no_ticket_shows_breaks_the_promise() -> None:
    assert list(report(errors=["not finished after 60 s"]).broken) == ["not finished after 60 s"]


def test_tickets_that_finished_before_the_load_do_not_count_for_its_speed() -> None:
    before = {"status": "PROCESSED", "notifiedAt": "2026-11-29T20:53:10.000Z"}

    result = report(stored={"one": before, "two": NOTIFIED})

    assert (result.counts["elapsedSeconds"], result.counts["ticketsPerSecond"]) == (10.0, 0.1)


def test_fresh_tickets_are_measured_from_their_202_and_compared_with_the_idle_stack() -> None:
    fresh = [f"fresh-{number}" for number in range(10)]
    result = report(
        accepted={ticket_id: STARTED + number for number, ticket_id in enumerate(fresh)},
        stored=dict.fromkeys(fresh, NOTIFIED),
        notifications=Counter(fresh),
        fresh=fresh,
        idle_seconds=1.0,
    )

    assert result.promise_kept
    measured = {name: result.counts[name] for name in result.counts if "fresh" in name or "idle" in name}
    assert measured == {
        "idleSeconds": 1.0,
        "fresh": 10,
        "freshP50Seconds": 5.0,
        "freshP90Seconds": 9.0,
        "freshSlow": 7,
    }


def test_a_fresh_ticket_without_a_notification_counts_as_slow() -> None:
    result = report(stored={"one": NOTIFIED, "two": FAILED}, fresh=["two"], idle_seconds=1.0)

    assert (result.counts["freshSlow"], result.counts["freshP50Seconds"]) == (1, None)


def test_peak_memory_is_reported_if_it_was_measured() -> None:
    assert "peakMemoryMegabytes" not in report().counts
    assert report(peak_memory_bytes=512_400_000).counts["peakMemoryMegabytes"] == 512
