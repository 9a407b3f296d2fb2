"""Files and options: what is wrong in them is said with the line, the field and what to do."""

import json
from pathlib import Path
from typing import Any

import pytest

from evals import dataset, gold
from evals.errors import UsageError
from evals.options import Options

TICKET = {
    "id": "billing-001",
    "content": "I was charged twice.",
    "category": "BILLING",
    "urgency": "MEDIUM",
    "language": "en",
    "traits": ["short"],
    "reason": "A double charge has to be put right.",
    "mustContain": ["acknowledges the double charge"],
    "mustNotPromise": ["a refund"],
}
TAXONOMY = {"categories": {"card": "cards", "oos": ""}, "other": "oos"}


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, "utf-8")
    return folder / name


def gold_file(folder: Path, *tickets: Any) -> Path:
    return write(folder, "tickets.jsonl", "\n".join(json.dumps(ticket) for ticket in tickets))


def test_a_gold_ticket_is_loaded_with_all_its_fields(tmp_path: Path) -> None:
    (ticket,) = gold.load(gold_file(tmp_path, TICKET | {"subject": "Charged twice"})).examples

    assert ticket.text == "Charged twice\nI was charged twice."
    assert (ticket.category, ticket.must_not_promise) == ("BILLING", ("a refund",))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"category": "REFUNDS"}, "category must be one of BILLING, ACCOUNT"),
        ({"urgency": None}, "urgency must be one of LOW"),
        ({"language": "pt-BR"}, "language must be a primary language subtag, such as pt."),
        ({"traits": ["rude"]}, "traits must be a list from ambiguous"),
        ({"reason": ""}, "reason must be a sentence."),
        ({"mustContain": []}, "mustContain must be 1 to 3 texts."),
        ({"content": "x" * 8_001}, "content must be a text of 1 to 8000 characters."),
        ({"subject": ""}, "subject must be a text of 1 to 200 characters, or be left out."),
        ({"model": {}}, "unknown field model."),
    ],
)
def test_an_invalid_gold_ticket_is_named_by_line_and_field(
    tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    file = gold_file(tmp_path, TICKET | {"id": "a"}, TICKET | changes)

    with pytest.raises(UsageError) as raised:
        gold.load(file)

    assert str(raised.value).startswith(f"{file}, line 2: {expected}")


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"line 1: not JSON"):
        gold.load(write(tmp_path, "tickets.jsonl", "{"))


def test_ids_are_unique(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="more than one ticket with the id billing-001"):
        gold.load(gold_file(tmp_path, TICKET, TICKET))


def test_a_csv_file_is_loaded_by_its_mapping_and_taxonomy(tmp_path: Path) -> None:
    text = 'text,label,note\n"My card,\nplease",card,x\nWhat is the weather?,oos,y\n'
    file = write(tmp_path, "foreign.csv", text)
    taxonomy = write(tmp_path, "taxonomy.json", json.dumps(TAXONOMY))

    loaded = dataset.load(file, "text=content,label=category", taxonomy)

    assert [(one.content, one.category) for one in loaded.examples] == [
        ("My card,\nplease", "card"),
        ("What is the weather?", "OTHER"),
    ]
    assert loaded.categories == {"card": "cards", "OTHER": ""}


def test_without_a_taxonomy_the_labels_are_the_categories(tmp_path: Path) -> None:
    file = write(tmp_path, "foreign.csv", "content,category\na b,zoo\nc d,art\n")

    assert [*dataset.load(file, "", None).categories] == ["OTHER", "art", "zoo"]


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("content,category\n", "", "has no tickets"),
        ("text,category\na,b\n", "", "has no column 'content': name the column in MAPPING=<column>=content."),
        ("text,category\na,b\n", "txt=content", "has no column 'txt': its columns are text, category."),
        ("text,category\na,b\n", "text=body", "MAPPING has 'text=body', which must be <column>=<field>"),
        ("content,category\na,b\nc\n", "", "line 3: the header has 2 columns, this line has not."),
        ("content,category\na,b,c\n", "", "line 2: the header has 2 columns, this line has not."),
        ('content,category\n"a,b\n', "", "not CSV"),
        ("content,category\n ,b\n", "", "line 2: content must have 1 to 8000 characters, it has 0."),
        ("content,category,urgency\na,b,soon\n", "", "line 2: urgency must be one of LOW, MEDIUM"),
        ("id,content,category\n1,a,b\n1,c,b\n", "", "has 2 tickets with the id '1'"),
    ],
)
def test_what_is_wrong_in_a_csv_file_is_said(tmp_path: Path, text: str, columns: str, expected: str) -> None:
    with pytest.raises(UsageError) as raised:
        dataset.load(write(tmp_path, "foreign.csv", text), columns, None)

    assert expected in str(raised.value)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ([], 'must be {"categories"'),
        ({"categories": {}}, 'must be {"categories"'),
        ({"categories": ["card"], "other": "oos"}, "other is 'oos', which is not one of the categories."),
        ({"categories": ["visa"]}, "line 2: the category 'card' is not in the taxonomy."),
    ],
)
def test_what_is_wrong_in_a_taxonomy_is_said(tmp_path: Path, document: Any, expected: str) -> None:
    file = write(tmp_path, "foreign.csv", "content,category\na,card\n")

    with pytest.raises(UsageError) as raised:
        dataset.load(file, "", write(tmp_path, "taxonomy.json", json.dumps(document)))

    assert expected in str(raised.value)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"MODEL": "gpt"}, "MODEL=gpt is unknown: leave it out for the stand-in"),
        ({"MAX_USD": "much"}, "MAX_USD must be a number from 0 to"),
        ({"LIMIT": "0"}, "LIMIT must be a number from 1 to"),
        ({"HELD_OUT": "maybe"}, "HELD_OUT must be 1, or left out, not maybe."),
        ({"TAXONOMY": "t.json"}, "set DATA=<file>.csv too."),
        ({"DATA": "d.csv"}, "The stand-in's rules know only this project's categories"),
        ({"DATA": "d.csv", "MODEL": "baseline", "HELD_OUT": "1"}, "leave out DATA."),
        ({"DATA": "d.csv", "MODEL": "bedrock", "TRAIN": "t.csv"}, "set MODEL=baseline."),
        ({"TOKEN_PRICES": "cheap"}, "TOKEN_PRICES must be two numbers"),
    ],
)
def test_a_wrong_option_is_named(environment: dict[str, str], expected: str) -> None:
    with pytest.raises(UsageError) as raised:
        Options.parse(environment)

    assert expected in str(raised.value)
