"""results.json: the figures and the scored tickets of a run, without the tickets' text."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals import metrics, review
from evals.bootstrap import figure
from evals.errors import UsageError
from evals.scoring import Scored

FILE = "results.json"
# An interval of fewer tickets says nothing.
_MIN_LANGUAGE = 10
_OTHERS = "others"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was measured.

    `unanswered` counts the tickets without an answer, by reason, such as the cap. `replies` has the drafted
    replies by ticket id; they are only in the HTML page.
    """

    model: str
    is_stand_in: bool
    is_baseline: bool
    prompt_version: str
    dataset: str
    date: str
    threshold: float
    target: float
    spent_usd: float
    unanswered: Mapping[str, int]
    scored: Sequence[Scored]
    replies: Mapping[str, str]

    @property
    def is_partial(self) -> bool:
        """Whether tickets of the set are missing."""
        return bool(self.unanswered)


def to_document(run: Run) -> dict[str, Any]:
    """The run and its figures, each with its interval, as a JSON object."""
    scored = run.scored
    curve = review.curve(scored)
    return {
        "model": run.model,
        "isStandIn": run.is_stand_in,
        "isBaseline": run.is_baseline,
        "promptVersion": run.prompt_version,
        "dataset": run.dataset,
        "date": run.date,
        "isPartial": run.is_partial,
        "unanswered": dict(run.unanswered),
        "spentUsd": round(run.spent_usd, 6),
        "threshold": run.threshold,
        "target": run.target,
        "figures": {
            name: figure(statistic, len(scored)).to_document()
            for name, statistic in metrics.statistics(scored).items()
        },
        "perClass": {
            category: {"tickets": sum(one.category == category for one in scored)}
            | {name: figure(statistic, len(scored)).to_document() for name, statistic in statistics.items()}
            for category, statistics in metrics.per_class(scored).items()
        },
        "perLanguage": _per_language(scored),
        "review": {
            "curve": curve,
            "recommended": review.recommended(curve, run.target),
            "reliability": review.reliability(scored),
            "signals": [] if run.is_baseline else review.second_signals(scored, run.threshold),
        },
        "tickets": [one.to_document() for one in scored],
    }


def load(path: Path) -> dict[str, Any]:
    """The document in a file, or in a run's folder. Raises UsageError if there is none."""
    file = path / FILE if path.is_dir() else path
    try:
        document = json.loads(file.read_text("utf-8"))
        document["scored"] = [Scored.from_document(one) for one in document["tickets"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} has no results of `make eval`: {error}.") from error
    return dict(document)


def _per_language(scored: Sequence[Scored]) -> dict[str, Any]:
    """The figures of each language; languages with few tickets are one group."""
    labels = {one.id: one.language for one in scored if one.language}
    tickets = Counter(labels.values())
    groups = {
        name: language if tickets[language] >= _MIN_LANGUAGE else _OTHERS for name, language in labels.items()
    }
    shown = ("categoryAccuracy", "urgencyAccuracy", "languageAccuracy", "replyInLanguage")
    return {
        language: {"tickets": len(part)}
        | {
            name: figure(statistic, len(part)).to_document()
            for name, statistic in metrics.statistics(part).items()
            if name in shown
        }
        for language in sorted({*groups.values()}, key=lambda name: (name == _OTHERS, name))
        if (part := [one for one in scored if groups.get(one.id) == language])
    }
