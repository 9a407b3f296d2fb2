"""Loads and checks the gold set: tickets written for this project, one JSON object a line (README.md)."""

import json
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from evals.errors import UsageError
from evals.example import Dataset, Example
from support.domain.analysis_schema import CATEGORIES, URGENCIES
from support.domain.ticket import MAX_CONTENT, MAX_SUBJECT

FOLDER = Path(__file__).with_name("gold")
TICKETS, HELD_OUT, SECOND_PASS = "tickets.jsonl", "held_out.jsonl", "second_pass.jsonl"

TRAITS = frozenset(
    {
        "short",
        "long",
        "angry",
        "polite",
        "typos",
        "mixed-language",
        "two-problems",
        "ambiguous",
        "injection",
        "misleading-words",
        "informal",
    }
)
SHORT, LONG = 60, 900


def load(path: Path) -> Dataset:
    """The tickets in a gold file.

    Raises:
        UsageError: the file does not exist, or a line is not a labelled ticket; names the line and the field.
    """
    examples = [_example(line, where) for where, line in read_lines(path)]
    ids = [example.id for example in examples]
    if repeated := {name for name in ids if ids.count(name) > 1}:
        raise UsageError(f"{path} has more than one ticket with the id {min(repeated)}: ids must be unique.")
    return Dataset(
        name=f"gold/{path.stem}",
        examples=examples,
        categories=CATEGORIES,
        is_held_out=path.name == HELD_OUT,
    )


def read_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each JSON object of a file, with its place, such as `tickets.jsonl, line 3`. Raises UsageError."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            document = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{where}: not JSON ({error}).") from error
        if not isinstance(document, dict):
            raise UsageError(f"{where}: not a JSON object.")
        yield where, document


def normalized(text: str) -> str:
    """The letters and digits of a text, without accents and case: equal for nearly equal tickets."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if character.isalnum())


def _is_text(maximum: int, minimum: int = 1) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and minimum <= len(value) <= maximum


def _is_list_of_texts(minimum: int, maximum: int) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, list)
        and minimum <= len(value) <= maximum
        and all(isinstance(item, str) and item for item in value)
    )


# Field → whether a value is allowed, and the rule in words.
_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "id": (_is_text(40), "a text"),
    "content": (_is_text(MAX_CONTENT), f"a text of 1 to {MAX_CONTENT} characters"),
    "category": (lambda value: value in CATEGORIES, f"one of {', '.join(CATEGORIES)}"),
    "urgency": (lambda value: value in URGENCIES, f"one of {', '.join(URGENCIES)}"),
    "language": (
        lambda value: isinstance(value, str) and len(value) in (2, 3) and value.islower(),
        "a primary language subtag, such as pt",
    ),
    "traits": (
        lambda value: _is_list_of_texts(0, len(TRAITS))(value) and set(value) <= TRAITS,
        f"a list from {', '.join(sorted(TRAITS))}",
    ),
    "reason": (_is_text(500), "a sentence"),
    "mustContain": (_is_list_of_texts(1, 3), "1 to 3 texts"),
    "mustNotPromise": (_is_list_of_texts(1, 2), "1 or 2 texts"),
}


def _example(document: Mapping[str, Any], where: str) -> Example:
    if unknown := document.keys() - _RULES.keys() - {"subject"}:
        raise UsageError(f"{where}: unknown field {min(unknown)}.")
    for name, (is_allowed, rule) in _RULES.items():
        if not is_allowed(document.get(name)):
            raise UsageError(f"{where}: {name} must be {rule}.")
    if "subject" in document and not _is_text(MAX_SUBJECT)(document["subject"]):
        raise UsageError(f"{where}: subject must be a text of 1 to {MAX_SUBJECT} characters, or be left out.")
    return Example(
        id=document["id"],
        subject=document.get("subject"),
        content=document["content"],
        category=document["category"],
        urgency=document["urgency"],
        language=document["language"],
        traits=tuple(document["traits"]),
        reason=document["reason"],
        must_contain=tuple(document["mustContain"]),
        must_not_promise=tuple(document["mustNotPromise"]),
    )
