"""Loads a foreign set: a CSV file with a header line, a mapping of its columns, and a taxonomy."""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evals.errors import UsageError
from evals.example import OTHER, Dataset, Example
from support.domain.analysis_schema import URGENCIES
from support.domain.ticket import MAX_CONTENT, MAX_SUBJECT

_FIELDS = ("id", "subject", "content", "category", "urgency", "language")
_REQUIRED = ("content", "category")


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """The description of each category, or an empty text, and the name of the out-of-scope class, if any."""

    categories: Mapping[str, str] = field(default_factory=dict)
    other: str | None = None

    @classmethod
    def load(cls, path: Path) -> "Taxonomy":
        """The taxonomy in `{"categories": {name: description} or [name], "other"?: name}`.

        Raises:
            UsageError: the file has another form.
        """
        try:
            document = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"TAXONOMY={path} cannot be read: {error}.") from error
        categories = document.get("categories") if isinstance(document, dict) else None
        if isinstance(categories, list):
            categories = {name: "" for name in categories if isinstance(name, str)}
        if not categories or not isinstance(categories, dict) or not _are_texts(categories.values()):
            raise UsageError(
                f'TAXONOMY={path} must be {{"categories": {{"name": "description", …}}}} or '
                '{"categories": ["name", …]}, and may have "other": the name of the out-of-scope class.'
            )
        other = document.get("other")
        if other is not None and other not in categories:
            raise UsageError(f"TAXONOMY={path}: other is {other!r}, which is not one of the categories.")
        return cls(categories, other)

    def category(self, label: str) -> str:
        """The category for a label: OTHER for the out-of-scope class."""
        return OTHER if label == self.other else label

    def for_model(self) -> dict[str, str]:
        """The categories that the model chooses from. The prompt names OTHER, so it is always one of them."""
        named = {self.category(name): description for name, description in self.categories.items()}
        return {OTHER: "none of the others"} | named if OTHER not in named else named


def load(path: Path, columns: str, taxonomy_path: Path | None) -> Dataset:
    """The tickets in a CSV file.

    `columns` maps its columns to fields: `text=content,label=category`; columns that are not named and have
    the name of a field need no mapping, and the others are ignored.

    Raises:
        UsageError: names the option, or the line and the column.
    """
    mapping = _mapping(columns)
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}. It must be a CSV file in UTF-8.") from error
    rows = [*_rows(path, text, mapping)]
    if not rows:
        raise UsageError(f"{path} has no tickets: it needs a header line and at least one line.")
    taxonomy = Taxonomy.load(taxonomy_path) if taxonomy_path else _taxonomy_of(rows)
    examples = [_example(where, number, row, taxonomy) for number, (where, row) in enumerate(rows, start=1)]
    _require_unique_ids(path, examples)
    return Dataset(name=path.name, examples=examples, categories=taxonomy.for_model(), is_foreign=True)


def _mapping(columns: str) -> dict[str, str]:
    """The field of each column that the option names."""
    mapping = {}
    for pair in filter(None, columns.split(",")):
        column, _, name = pair.strip().rpartition("=")
        if not column or name not in _FIELDS:
            raise UsageError(
                f"MAPPING has {pair!r}, which must be <column>=<field> with a field of {', '.join(_FIELDS)}: "
                "MAPPING=text=content,label=category."
            )
        mapping[column] = name
    return mapping


def _rows(path: Path, text: str, mapping: Mapping[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Each line of the file as its fields, with its place: of a text over several lines, the last one."""
    reader = csv.DictReader(text.splitlines(keepends=True), strict=True)
    header = list(reader.fieldnames or [])
    fields = {column: mapping.get(column, column) for column in header}
    if missing := [column for column in mapping if column not in header]:
        raise UsageError(f"{path} has no column {missing[0]!r}: its columns are {', '.join(header)}.")
    for name in _REQUIRED:
        if name not in fields.values():
            raise UsageError(
                f"{path} has no column {name!r}: name the column in MAPPING=<column>={name}. "
                f"Its columns are {', '.join(header)}."
            )
    try:
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            if None in row or None in row.values():
                raise UsageError(f"{where}: the header has {len(header)} columns, this line has not.")
            yield where, {fields[column]: value for column, value in row.items() if fields[column] in _FIELDS}
    except csv.Error as error:
        raise UsageError(f"{path}, line {reader.line_num}: not CSV ({error}).") from error


def _taxonomy_of(rows: list[tuple[str, dict[str, str]]]) -> Taxonomy:
    return Taxonomy(dict.fromkeys(sorted({row["category"].strip() for _, row in rows}), ""))


def _example(where: str, number: int, row: Mapping[str, str], taxonomy: Taxonomy) -> Example:
    label = row["category"].strip()
    if label not in taxonomy.categories:
        raise UsageError(f"{where}: the category {label!r} is not in the taxonomy.")
    content = row["content"].strip()
    if not 1 <= len(content) <= MAX_CONTENT:
        raise UsageError(f"{where}: content must have 1 to {MAX_CONTENT} characters, it has {len(content)}.")
    urgency = row.get("urgency", "").strip() or None
    if urgency not in (None, *URGENCIES):
        raise UsageError(
            f"{where}: urgency must be one of {', '.join(URGENCIES)}, or empty; it is {urgency!r}."
        )
    return Example(
        id=row.get("id", "").strip() or f"line-{number:05}",
        subject=row.get("subject", "").strip()[:MAX_SUBJECT] or None,
        content=content,
        category=taxonomy.category(label),
        urgency=urgency,
        language=row.get("language", "").strip().partition("-")[0].lower() or None,
    )


def _require_unique_ids(path: Path, examples: list[Example]) -> None:
    (most_frequent, number), *_ = Counter(example.id for example in examples).most_common(1)
    if number > 1:
        raise UsageError(f"{path} has {number} tickets with the id {most_frequent!r}: ids must be unique.")


def _are_texts(values: Any) -> bool:
    return all(isinstance(value, str) for value in values)
