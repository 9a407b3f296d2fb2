"""The verdict on what a run left behind."""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from devtools.storm.verdict import Found, Limits, Verdict, judge

BEGAN = datetime.fromisoformat("2026-11-29T20:53:20Z").timestamp()
ANNOUNCED = {"status": "PROCESSED", "notifiedAt": "2026-11-29T20:53:30.000Z"}  # 10 s later
FAILED = {"status": "FAILED", "failure": {"error": "ModelThrottled"}}
UNFINISHED = "1 ticket neither announced nor FAILED in time"
TWICE = "1 ticket announced more than once"
FOUND = Found(
    began=BEGAN,
    accepted={"one": BEGAN + 1, "two": BEGAN + 2},
    stored={"one": ANNOUNCED, "two": ANNOUNCED},
    announcements=Counter(one=1, two=1),
    calls={"total": 5, "ok": 2, "throttle": 3, "error": 0},
)


def judged(limits: Limits | None = None, **changes: Any) -> Verdict:
    return judge(replace(FOUND, **changes), limits or Limits())


def test_when_all_tickets_are_announced_once_the_promise_is_kept() -> None:
    verdict = judged()

    assert verdict.is_kept
    assert verdict.to_document() == {
        "accepted": 2,
        "processed": 2,
        "refused": 0,
        "unfinished": 0,
        "failed": 0,
        "failureMessages": 0,
        "announcedNever": 0,
        "announcedTwice": 0,
        "modelCalls": {"total": 5, "ok": 2, "throttle": 3},
        "throttledCallsPerTicket": 1.5,
        "answeredCallsPerTicket": 1.0,
        "sentSeconds": 2.0,
        "elapsedSeconds": 10.0,
        "ticketsPerSecond": 0.2,
        "kept": True,
        "broken": [],
        "offending": {},
    }


@pytest.mark.parametrize(
    ("changes", "count", "key", "phrase"),
    [
        ({"refused": ["three"]}, "refused", "three", "1 ticket never accepted"),
        (
            {"stored": {"one": ANNOUNCED}},
            "unfinished",
            "two",
            UNFINISHED,
        ),
        (
            {"stored": {"one": ANNOUNCED, "two": {"status": "PROCESSED"}}},
            "unfinished",
            "two",
            UNFINISHED,
        ),
        (
            {"stored": {"one": ANNOUNCED, "two": FAILED}},
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
        ({"announcements": Counter(one=1)}, "announcedNever", "two", "1 ticket never announced"),
        (
            {"announcements": Counter(one=1, two=2)},
            "announcedTwice",
            "two",
            TWICE,
        ),
    ],
)
def test_a_ticket_that_was_not_announced_once_breaks_the_promise_by_name(
    changes: dict[str, Any], count: str, key: str, phrase: str
) -> None:
    verdict = judged(**changes)

    assert not verdict.is_kept
    assert verdict.counts[count] == 1
    assert verdict.offending[count] == [key]
    assert list(verdict.broken) == [phrase]


def test_the_causes_of_failures_are_counted() -> None:
    verdict = judged(stored={"one": FAILED, "two": {"status": "FAILED"}})

    assert list(verdict.broken) == ["2 tickets FAILED (ModelThrottled 1, no error noted 1)"]


@pytest.mark.parametrize(
    ("limits", "phrase"),
    [
        (
            Limits(elapsed_seconds=9.9),
            "10.0 s from the beginning to the last announcement, where 9.9 are allowed",
        ),
        (Limits(throttled_calls_per_ticket=1), "1.5 throttled calls a ticket, where 1 are allowed"),
        (Limits(answered_calls_per_ticket=0.5), "1.0 answered calls a ticket, where 0.5 are allowed"),
    ],
)
def test_a_count_above_the_scenarios_limit_breaks_the_promise(limits: Limits, phrase: str) -> None:
    verdict = judged(limits)

    assert list(verdict.broken) == [phrase]


def test_a_count_at_the_limit_is_within_it() -> None:
    limits = Limits(elapsed_seconds=10, throttled_calls_per_ticket=1.5, answered_calls_per_ticket=1)

    assert judged(limits).is_kept


def test_what_shows_in_no_ticket_breaks_the_promise_too() -> None:
    assert list(judged(complaints=["not over after 60 s"]).broken) == ["not over after 60 s"]


def test_tickets_that_were_announced_before_the_load_began_do_not_count_for_its_speed() -> None:
    before = {"status": "PROCESSED", "notifiedAt": "2026-11-29T20:53:10.000Z"}

    verdict = judged(stored={"one": before, "two": ANNOUNCED})

    assert (verdict.counts["elapsedSeconds"], verdict.counts["ticketsPerSecond"]) == (10.0, 0.1)


def test_fresh_tickets_are_measured_from_their_202_and_held_against_the_idle_stack() -> None:
    fresh = [f"fresh-{number}" for number in range(10)]
    verdict = judged(
        accepted={ticket_id: BEGAN + number for number, ticket_id in enumerate(fresh)},
        stored=dict.fromkeys(fresh, ANNOUNCED),
        announcements=Counter(fresh),
        fresh=fresh,
        idle_seconds=1.0,
    )

    assert verdict.is_kept
    measured = {name: verdict.counts[name] for name in verdict.counts if "fresh" in name or "idle" in name}
    assert measured == {
        "idleSeconds": 1.0,
        "fresh": 10,
        "freshP50Seconds": 5.0,
        "freshP90Seconds": 9.0,
        "freshSlow": 7,
    }


def test_a_fresh_ticket_that_was_never_announced_counts_as_slow() -> None:
    verdict = judged(stored={"one": ANNOUNCED, "two": FAILED}, fresh=["two"], idle_seconds=1.0)

    assert (verdict.counts["freshSlow"], verdict.counts["freshP50Seconds"]) == (1, None)


def test_peak_memory_is_shown_where_it_was_measured() -> None:
    assert "peakMemoryMegabytes" not in judged().counts
    assert judged(peak_memory_bytes=512_400_000).counts["peakMemoryMegabytes"] == 512
