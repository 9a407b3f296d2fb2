"""Compares an answer with the labels."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from evals import signals
from evals.cache import Answer
from evals.example import Example
from evals.language import LanguageDetector
from support.domain import analysis

# As the schema asks the model; a person does not count exactly.
MAX_REPLY_WORDS = 80
_TOLERANCE = 1.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A ticket's labels, and what the model made of it. None: not labelled, or not answered.

    `flagged`: it needs review whatever the confidence, by the pipeline's own checks. `signals` are the second
    signals that doubt the answer.
    """

    id: str
    digest: str
    category: str
    urgency: str | None
    language: str | None
    outcome: str
    answered_category: str | None = None
    answered_urgency: str | None = None
    answered_language: str | None = None
    confidence: float | None = None
    flagged: bool = False
    reply_words: int | None = None
    reply_language: str | None = None
    signals: tuple[str, ...] = ()
    calls: int
    input_tokens: int
    output_tokens: int
    latency_ms: int
    usd: float

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Scored":
        """The result in a document of results.json. Raises TypeError if it is not one."""
        return cls(**{**document, "signals": tuple(document["signals"])})

    def to_document(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)

    @property
    def is_right(self) -> bool:
        """Whether the category and, if labelled, the urgency are right: what the confidence is in."""
        return self.answered_category == self.category and self.urgency in (None, self.answered_urgency)

    @property
    def reply_is_short(self) -> bool:
        """Whether the reply keeps to the length that the prompt asks for."""
        return self.reply_words is not None and self.reply_words <= MAX_REPLY_WORDS * _TOLERANCE


class Scorer:
    """Scores the answers of one run."""

    def __init__(self, detector: LanguageDetector) -> None:
        self._detector = detector

    def score(self, example: Example, answer: Answer, usd: float) -> Scored:
        """The result of one ticket; `usd` is what its calls cost."""
        document = answer.document or {}
        reply = document.get("response", "")
        return Scored(
            id=example.id,
            digest=example.digest,
            category=example.category,
            urgency=example.urgency,
            language=example.language,
            outcome=answer.outcome,
            answered_category=document.get("category"),
            answered_urgency=document.get("urgency"),
            answered_language=document.get("language"),
            confidence=document.get("confidence"),
            flagged=bool(reply) and _is_flagged(example, answer),
            reply_words=len(re.findall(r"\S+", reply)) if reply else None,
            reply_language=self._detector.detect(reply).code if reply else None,
            signals=signals.raised(example, document, self._detector.detect(example.text))
            if document
            else (),
            calls=answer.calls,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            latency_ms=answer.latency_ms,
            usd=usd,
        )


def _is_flagged(example: Example, answer: Answer) -> bool:
    """Whether the pipeline would have the answer reviewed however confident the model is."""
    complete = analysis.complete(
        answer.document or {},
        ticket=example.ticket(),
        review_threshold=0,
        stopped_early=answer.stopped_early,
        model={"id": "", "promptVersion": "", "inputTokens": 0, "outputTokens": 0, "latencyMs": 0},
        now=datetime.now(UTC),
    )
    return complete["needsReview"]
