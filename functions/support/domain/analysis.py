"""The form of an analysis: one JSON Schema that is both the model's tool schema and the validator."""

import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib.resources import files
from typing import Any, cast

from support.domain.grounding import is_grounded
from support.domain.plain_text import readable, readable_line
from support.domain.ticket import Analysis, ModelCall, Ticket, timestamp


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
URGENCIES: tuple[str, ...] = tuple(SCHEMA["properties"]["urgency"]["enum"])


def cleaned(answer: Any) -> Any:
    """The model's answer as it may be stored and shown, before it is validated.

    Only the fields of the schema; texts without invisible characters, all but the reply on one line; the
    language tag in its usual case (`zh-Hans-CN`), by which subscribers can filter. What has another type than
    it should stays as it is, for the validator to refuse.
    """
    if not isinstance(answer, Mapping):
        return answer
    known = {name: answer[name] for name in SCHEMA["properties"] if name in answer}
    return known | {
        name: clean(known[name])
        for name, (kind, clean) in _CLEANERS.items()
        if isinstance(known.get(name), kind)
    }


def _usual_case(tag: str) -> str:
    first, *rest = tag.split("-")
    return "-".join([first.lower(), *(part.title() if len(part) == 4 else part.upper() for part in rest)])


def _lines(items: list[Any]) -> list[Any]:
    return [readable_line(item) if isinstance(item, str) else item for item in items]


def _number(value: float) -> float | None:
    # NaN lies in every range that a validator compares it with, and in no table.
    return None if math.isnan(value) else value


# By field, the type that it should have, and what makes it fit to be shown.
_CLEANERS: dict[str, tuple[type, Callable[[Any], Any]]] = {
    "language": (str, _usual_case),
    "summary": (str, readable_line),
    "response": (str, readable),
    "tags": (list, _lines),
    "confidence": (float, _number),
}


def complete(  # noqa: PLR0913 - facts about one answer, each by its name
    answer: Mapping[str, Any],
    *,
    ticket: Ticket,
    review_threshold: float,
    stopped_early: bool,
    model: ModelCall,
    now: datetime,
) -> Analysis:
    """The model's valid answer to a ticket as an analysis.

    Fields that the schema does not name are dropped. `needsReview` is set when the model is less sure than
    `review_threshold` (0..1), when it stopped for another reason than the tool call (`stopped_early`), or
    when its words hold an address that is not in the ticket, or its instructions.
    """
    known = {name: answer[name] for name in SCHEMA["properties"]}
    is_sure = answer["confidence"] >= review_threshold
    return cast(
        Analysis,
        known
        | {
            "needsReview": stopped_early or not is_sure or not _is_grounded(answer, ticket),
            "model": model,
            "generatedAt": timestamp(now),
        },
    )


def _is_grounded(answer: Mapping[str, Any], ticket: Ticket) -> bool:
    written = "\n".join([answer["response"], answer["summary"], *answer["tags"]])
    return is_grounded(written, f"{ticket.subject or ''}\n{ticket.content}")
