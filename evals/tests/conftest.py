"""Tickets and answers for the tests."""

from collections.abc import Callable
from typing import Any

import pytest

from evals.cache import ANSWERED, Answer
from evals.example import Dataset, Example
from evals.language import LanguageDetector
from evals.scoring import Scored, Scorer
from support.domain.analysis_schema import CATEGORIES

type MakeScored = Callable[..., Scored]


def example(example_id: str = "billing-001", **changes: Any) -> Example:
    fields = {"content": "I was charged twice.", "category": "BILLING", "urgency": "MEDIUM", "language": "en"}
    return Example(id=example_id, **fields | changes)


def document(**changes: Any) -> dict[str, Any]:
    return {
        "urgency": "MEDIUM",
        "category": "BILLING",
        "sentiment": "NEUTRAL",
        "language": "en",
        "summary": "A double charge.",
        "response": "Thank you for your message. We are looking into the double charge.",
        "tags": ["billing"],
        "confidence": 0.9,
        **changes,
    }


def dataset(*examples: Example) -> Dataset:
    return Dataset(name="test", examples=examples, categories=CATEGORIES)


@pytest.fixture(scope="session")
def scorer() -> Scorer:
    return Scorer(LanguageDetector({"en", "de"}))


def scored(scorer: Scorer, example: Example, answer: dict[str, Any] | None, **fields: Any) -> Scored:
    """The result of an answer; without one, of an invalid answer."""
    defaults: dict[str, Any] = {"outcome": ANSWERED if answer else "ModelOutputInvalid", "latency_ms": 10}
    return scorer.score(example, Answer(document=answer, **defaults | fields), usd=0.001)
