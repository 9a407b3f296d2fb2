"""The form of an analysis: one JSON Schema that is both the model's tool schema and the validator."""

import json
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from typing import Any, cast

from support.domain.ticket import Analysis, ModelCall, timestamp


def _load(name: str) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(files("support.domain").joinpath(name).read_text("utf-8")))


CATEGORIES: dict[str, str] = _load("taxonomy.json")["categories"]


def _schema() -> dict[str, Any]:
    schema = _load("analysis.schema.json")
    schema["properties"]["category"] |= {
        "enum": list(CATEGORIES),
        "description": "; ".join(f"{name}: {meaning}" for name, meaning in CATEGORIES.items()),
    }
    return schema


SCHEMA: dict[str, Any] = _schema()


def complete(
    answer: Mapping[str, Any],
    *,
    review_threshold: float,
    stopped_early: bool,
    model: ModelCall,
    now: datetime,
) -> Analysis:
    """The model's valid answer as an analysis.

    Fields that the schema does not name are dropped. `needsReview` is set when the model is less sure than
    `review_threshold` (0..1), or when it stopped for another reason than the tool call (`stopped_early`).
    """
    known = {name: answer[name] for name in SCHEMA["properties"]}
    return cast(
        Analysis,
        known
        | {
            "needsReview": stopped_early or answer["confidence"] < review_threshold,
            "model": model,
            "generatedAt": timestamp(now),
        },
    )
