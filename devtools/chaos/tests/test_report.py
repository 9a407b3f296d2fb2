"""The evaluation of a run."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from devtools.chaos.report import Observations, evaluate
from devtools.load.customers import Submission
from devtools.load.report import Report

EXPECTED = {"urgency": "MEDIUM", "category": "BILLING", "language": "en"}
ANALYSIS = EXPECTED | {
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
OBSERVED = Observations(
    seed=1,
    sent=[SUBMISSION],
    accepted={"one"},
    stored={"one": TICKET},
    notifications=Counter(one=1),
    failed_tickets_queue=set(),
    expected_analyses={"one": EXPECTED},
    restarts={"replay": {"one"}, "waiting room": {"one"}},
    failed={"one": "ModelOutputInvalid"},
    model_calls=3,
    recovery_seconds=1.23,
)


def report(**changes: Any) -> Report:
    return evaluate(replace(OBSERVED, **changes))


def ticket(**changes: Any) -> dict[str, dict[str, Any]]:
    return {"one": TICKET | changes}


def failed(error: str) -> dict[str, dict[str, Any]]:
    return ticket(status="FAILED", failure={"error": error})


def test_a_processed_ticket_with_one_notification_keeps_the_promise() -> None:
    result = report()

    assert result.promise_kept
    assert result.counts == {
        "seed": 1,
        "accepted": 1,
        "processed": 1,
        "deferred": 1,
        "failed": 1,
        "replayed": 1,
        "swept": 0,
        "recovered": 0,
        "lost": 0,
        "notifiedTwice": 0,
        "neverNotified": 0,
        "wrongContent": 0,
        "cannedAnalyses": 0,
        "passingFailures": 0,
        "modelCallsPerTicket": 3.0,
        "recoverySeconds": 1.2,
    }


@pytest.mark.parametrize("stored", [{}, ticket(status="RECEIVED"), failed("ModelRejected")])
def test_a_ticket_that_is_neither_processed_nor_in_the_failed_tickets_queue_is_lost(
    stored: dict[str, Any],
) -> None:
    result = report(stored=stored)

    assert (result.counts["lost"], result.promise_kept) == (1, False)
    assert result.offending["lost"] == ["one"]


def test_a_failed_ticket_in_the_queue_is_neither_lost_nor_processed() -> None:
    result = report(stored=failed("ModelRejected"), failed_tickets_queue={"one"})

    assert (result.counts["lost"], result.counts["processed"]) == (0, 0)


@pytest.mark.parametrize("error", ["ModelThrottled", "StoreUnavailable", "Lambda.TooManyRequestsException"])
def test_a_ticket_that_failed_although_it_only_had_to_wait_breaks_the_promise(error: str) -> None:
    before = report(failed={"one": error})
    after = report(stored=failed(error), failed_tickets_queue={"one"})

    for result in (before, after):
        assert (result.counts["passingFailures"], result.promise_kept) == (1, False)
        assert result.offending["passingFailures"] == ["one"]


@pytest.mark.parametrize("error", ["ModelRejected", "ModelOutputInvalid", "WaitedTooLong", "Lambda.Unknown"])
def test_a_ticket_that_needs_a_person_may_fail(error: str) -> None:
    assert report(failed={"one": error}).promise_kept


def test_a_ticket_may_have_two_notifications() -> None:
    result = report(notifications=Counter(one=2))

    assert (result.counts["notifiedTwice"], result.promise_kept) == (1, True)


def test_a_ticket_without_a_notification_breaks_the_promise() -> None:
    result = report(notifications=Counter())

    assert (result.counts["neverNotified"], result.promise_kept) == (1, False)
    assert result.broken == ["1 ticket without a notification"]


@pytest.mark.parametrize("stored", [
    ticket(content="I was charged once."), ticket(subject=None), {"one": TICKET, "two": TICKET},
])  # fmt: skip
def test_content_that_nobody_sent_is_wrong(stored: dict[str, Any]) -> None:
    result = report(stored=stored)

    assert (result.counts["wrongContent"], result.promise_kept) == (1, False)


@pytest.mark.parametrize("analysis", [
    None, ANALYSIS | {"category": "OTHER"}, ANALYSIS | {"urgency": "SOON"}, ANALYSIS | {"summary": ""},
    {name: value for name, value in ANALYSIS.items() if name != "response"},
])  # fmt: skip
def test_an_analysis_that_does_not_fit_the_content_is_canned(analysis: Any) -> None:
    result = report(stored=ticket(analysis=analysis))

    assert (result.counts["cannedAnalyses"], result.promise_kept) == (1, False)
