"""The verdict on what a run left behind."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from devtools.chaos.verdict import Found, Verdict, judge
from devtools.load.submission import Submission

READING = {"urgency": "MEDIUM", "category": "BILLING", "language": "en"}
ANALYSIS = READING | {
    "sentiment": "NEGATIVE",
    "summary": "The customer was charged twice.",
    "response": "Hello, we refund it.",
    "tags": ["refund"],
    "confidence": Decimal("0.7"),
    "needsReview": False,
}
SUBMISSION = Submission("one", "I was charged twice. (case 1-1)", "Help")
TICKET: dict[str, Any] = {
    "ticketId": "one",
    "status": "PROCESSED",
    "content": SUBMISSION.content,
    "subject": "Help",
    "analysis": ANALYSIS,
}
FOUND = Found(
    seed=1,
    sent=[SUBMISSION],
    accepted={"one": SUBMISSION},
    stored={"one": TICKET},
    announcements=Counter(one=1),
    waiting=frozenset(),
    readings={"one": READING},
    restarts={"replay": {"one"}, "waiting room": {"one"}},
    failed={"one": "ModelOutputInvalid"},
    model_calls=3,
    recovery_seconds=1.23,
)


def judged(**changes: Any) -> Verdict:
    return judge(replace(FOUND, **changes))


def ticket(**changes: Any) -> dict[str, dict[str, Any]]:
    return {"one": TICKET | changes}


def failed(error: str) -> dict[str, dict[str, Any]]:
    return ticket(status="FAILED", failure={"error": error})


def test_a_ticket_that_is_read_and_announced_once_keeps_the_promise() -> None:
    verdict = judged()

    assert verdict.is_kept
    assert verdict.to_document() == {
        "seed": 1,
        "accepted": 1,
        "processed": 1,
        "deferred": 1,
        "failed": 1,
        "replayed": 1,
        "swept": 0,
        "recovered": 0,
        "lost": 0,
        "announcedTwice": 0,
        "announcedNever": 0,
        "wrongContent": 0,
        "cannedAnalyses": 0,
        "passingFailures": 0,
        "modelCallsPerTicket": 3.0,
        "recoverySeconds": 1.2,
    }


@pytest.mark.parametrize("stored", [{}, ticket(status="RECEIVED"), failed("ModelRejected")])
def test_a_ticket_that_is_neither_processed_nor_waits_for_a_replay_is_lost(stored: dict[str, Any]) -> None:
    verdict = judged(stored=stored)

    assert (verdict.lost, verdict.is_kept) == (1, False)
    assert verdict.offending["lost"] == ["one"]


def test_a_failed_ticket_in_the_queue_is_not_lost_and_not_processed() -> None:
    verdict = judged(stored=failed("ModelRejected"), waiting=frozenset({"one"}))

    assert (verdict.lost, verdict.processed) == (0, 0)


@pytest.mark.parametrize("error", ["ModelThrottled", "StoreUnavailable", "Lambda.TooManyRequestsException"])
def test_a_ticket_that_failed_for_what_only_has_to_wait_breaks_the_promise(error: str) -> None:
    before = judged(failed={"one": error})
    after = judged(stored=failed(error), waiting=frozenset({"one"}))

    for verdict in (before, after):
        assert (verdict.passing_failures, verdict.is_kept) == (1, False)
        assert verdict.offending["passingFailures"] == ["one"]


@pytest.mark.parametrize("error", ["ModelRejected", "ModelOutputInvalid", "WaitedTooLong", "Lambda.Unknown"])
def test_a_ticket_that_needs_a_person_may_fail(error: str) -> None:
    assert judged(failed={"one": error}).is_kept


def test_announced_twice_is_counted_and_allowed() -> None:
    verdict = judged(announcements=Counter(one=2))

    assert (verdict.announced_twice, verdict.is_kept) == (1, True)


def test_announced_never_is_not_allowed() -> None:
    verdict = judged(announcements=Counter())

    assert (verdict.announced_never, verdict.is_kept) == (1, False)


@pytest.mark.parametrize("stored", [
    ticket(content="I was charged once."), ticket(subject=None), {"one": TICKET, "two": TICKET},
])  # fmt: skip
def test_what_nobody_sent_is_wrong_content(stored: dict[str, Any]) -> None:
    verdict = judged(stored=stored)

    assert (verdict.wrong_content, verdict.is_kept) == (1, False)


@pytest.mark.parametrize("analysis", [
    None, ANALYSIS | {"category": "OTHER"}, ANALYSIS | {"urgency": "SOON"}, ANALYSIS | {"summary": ""},
    {name: value for name, value in ANALYSIS.items() if name != "response"},
])  # fmt: skip
def test_an_analysis_that_is_not_the_texts_own_is_canned(analysis: Any) -> None:
    verdict = judged(stored=ticket(analysis=analysis))

    assert (verdict.canned_analyses, verdict.is_kept) == (1, False)
