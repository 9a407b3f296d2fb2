"""Turns the model's answer into an analysis: clean the text, then add what the code decides."""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

from support.domain.analysis_schema import SCHEMA
from support.domain.output_checks import passes_output_checks
from support.domain.plain_text import readable, readable_line
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Analysis, ModelCall


def clean(answer: Any) -> Any:
    """The model's answer, ready to be validated.

    Keeps only the fields of the schema, removes invisible characters, puts every text except the reply on one
    line, and writes the language tag in its canonical case (`zh-Hans-CN`), so that subscribers can filter by
    it. Leaves a value of the wrong type as it is: the validator rejects it.
    """
    if not isinstance(answer, Mapping):
        return answer
    known = {name: answer[name] for name in SCHEMA["properties"] if name in answer}
    return known | {
        name: clean_field(known[name])
        for name, (expected_type, clean_field) in _CLEANERS.items()
        if isinstance(known.get(name), expected_type)
    }


def _canonical_case(tag: str) -> str:
    first, *rest = tag.split("-")
    return "-".join([first.lower(), *(part.title() if len(part) == 4 else part.upper() for part in rest)])


def _readable_lines(items: list[Any]) -> list[Any]:
    return [readable_line(item) if isinstance(item, str) else item for item in items]


def _nan_to_none(value: float) -> float | None:
    # The validator's range checks accept NaN, and DynamoDB does not.
    return None if math.isnan(value) else value


# Field → its expected type, and the function that cleans a value of that type.
_CLEANERS: dict[str, tuple[type, Callable[[Any], Any]]] = {
    "language": (str, _canonical_case),
    "summary": (str, readable_line),
    "response": (str, readable),
    "tags": (list, _readable_lines),
    "confidence": (float, _nan_to_none),
}


def complete(  # noqa: PLR0913 - facts about one answer, all passed by name
    answer: Mapping[str, Any],
    *,
    ticket: Ticket,
    review_threshold: float,
    stopped_early: bool,
    model: ModelCall,
    now: datetime,
) -> Analysis:
    """Complete the model's valid answer to a ticket.

    Drops fields that are not in the schema. Sets `needsReview` when the confidence is below
    `review_threshold` (0..1), when the model stopped for another reason than the tool call (`stopped_early`),
    or when the answer contains an address that is not in the ticket, or quotes the instructions.
    """
    is_confident = answer["confidence"] >= review_threshold
    is_safe = passes_output_checks(_model_text(answer), f"{ticket.subject or ''}\n{ticket.content}")
    return cast(
        Analysis,
        {name: answer[name] for name in SCHEMA["properties"]}
        | {
            "needsReview": stopped_early or not is_confident or not is_safe,
            "model": model,
            "generatedAt": timestamp(now),
        },
    )


def _model_text(answer: Mapping[str, Any]) -> str:
    return "\n".join([answer["response"], answer["summary"], *answer["tags"]])
