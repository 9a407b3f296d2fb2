"""The gold set: form, balance, no duplicates, and a held-out third that is kept apart."""

import re
from collections import Counter
from itertools import combinations

import pytest

from evals import gold
from evals.example import Example
from support.domain.analysis_schema import CATEGORIES, URGENCIES

LANGUAGES = ("en", "es", "fr", "de", "pt", "it")
# The share of common words from which two texts are the same ticket in other words.
SAME = 0.7


@pytest.fixture(scope="module")
def tickets() -> list[Example]:
    return [*gold.load(gold.FOLDER / gold.TICKETS).examples]


@pytest.fixture(scope="module")
def held_out() -> list[Example]:
    return [*gold.load(gold.FOLDER / gold.HELD_OUT).examples]


@pytest.fixture(scope="module")
def everything(tickets: list[Example], held_out: list[Example]) -> list[Example]:
    return [*tickets, *held_out]


def test_there_are_enough_tickets_of_everything(everything: list[Example]) -> None:
    assert len(everything) >= 360
    for name, values, least in (
        ("category", CATEGORIES, 36),
        ("urgency", URGENCIES, 54),
        ("language", LANGUAGES, 40),
    ):
        counts = Counter(getattr(one, name) for one in everything)
        assert {value: counts[value] for value in values if counts[value] < least} == {}
    assert sum(one.language not in LANGUAGES for one in everything) >= 15
    assert {trait for one in everything for trait in one.traits} == gold.TRAITS


def test_an_id_names_its_category_and_a_number(everything: list[Example]) -> None:
    for one in everything:
        assert re.fullmatch(rf"{one.category.lower().replace('_', '-')}-\d{{3}}", one.id)


def test_the_traits_of_length_are_true(everything: list[Example]) -> None:
    wrong = [
        one.id
        for one in everything
        if ("short" in one.traits) != (len(one.content) < gold.SHORT)
        or ("long" in one.traits) != (len(one.content) > gold.LONG)
    ]
    assert wrong == []


def test_no_ticket_is_there_twice(everything: list[Example]) -> None:
    texts = Counter(gold.normalized(one.content) for one in everything)
    assert [text for text, number in texts.items() if number > 1] == []


def test_no_two_tickets_are_nearly_the_same(everything: list[Example]) -> None:
    words = [(one.language, one.id, set(re.findall(r"\w+", one.content.casefold()))) for one in everything]

    similar = [
        (first, second)
        for (language, first, one), (other_language, second, other) in combinations(words, 2)
        if language == other_language and len(one & other) >= SAME * max(1, len(one | other))
    ]
    assert similar == []


def test_a_third_of_each_category_is_held_out(tickets: list[Example], held_out: list[Example]) -> None:
    assert {one.id for one in tickets}.isdisjoint(one.id for one in held_out)
    for name, values in (("category", CATEGORIES), ("language", LANGUAGES)):
        apart = Counter(getattr(one, name) for one in held_out)
        whole = apart + Counter(getattr(one, name) for one in tickets)
        assert {
            value: f"{apart[value]} of {whole[value]}"
            for value in values
            if not 0.25 <= apart[value] / whole[value] <= 0.42
        } == {}
