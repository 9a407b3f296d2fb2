"""The baseline on made data: it learns what can be learned, and no more."""

import csv
import random
from pathlib import Path

import pytest

from evals import baseline, dataset
from evals.errors import UsageError
from evals.example import Example
from evals.tests.conftest import example

TOPICS = {
    "card_arrival": ["card", "arrive", "post", "delivery", "envelope"],
    "exchange_rate": ["exchange", "rate", "currency", "euro", "conversion"],
    "pin_blocked": ["pin", "blocked", "digits", "attempts", "unlock"],
    "oos": ["weather", "football", "recipe", "holiday", "song"],
}
SHARED = "please could you tell me when my the is it that for with what about today again still".split()  # noqa: SIM905


def made(folder: Path, name: str, seed: int, *, noise: float = 0.1) -> Path:
    """A CSV file with 30 tickets of each topic; a share of the labels is wrong."""
    chance = random.Random(seed)  # noqa: S311 - made data
    with (folder / name).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for topic, words in TOPICS.items():
            for _ in range(30):
                text = chance.sample(SHARED, 6) + chance.sample(words, 2)
                chance.shuffle(text)
                is_wrong = chance.random() < noise
                writer.writerow([" ".join(text), chance.choice([*TOPICS]) if is_wrong else topic])
    return folder / name


def accuracy(examples: list[Example], training: list[Example] | None = None) -> float:
    answers = baseline.answers(examples, training)
    right = [(answers[one.id].document or {})["category"] == one.category for one in examples]
    return float(sum(right) / len(right))


def load(path: Path) -> list[Example]:
    return [*dataset.load(path, "text=content,label=category", None).examples]


def test_it_finds_the_topics_but_not_the_noise(tmp_path: Path) -> None:
    examples = load(made(tmp_path, "foreign.csv", seed=1))

    assert 0.82 <= accuracy(examples) <= 0.97


def test_it_learns_from_a_training_file(tmp_path: Path) -> None:
    training, examples = (
        load(made(tmp_path, "train.csv", seed=1)),
        load(made(tmp_path, "test.csv", 2, noise=0)),
    )

    assert accuracy(examples, training) > 0.95


def test_it_cannot_guess_labels_that_mean_nothing(tmp_path: Path) -> None:
    """Each ticket is predicted without its own label."""
    assert accuracy(load(made(tmp_path, "foreign.csv", seed=3, noise=1))) < 0.45


def test_the_same_tickets_always_get_the_same_answers(tmp_path: Path) -> None:
    examples = load(made(tmp_path, "foreign.csv", seed=1))[::3]
    first, second = (
        {name: answer.document for name, answer in baseline.answers(examples).items()} for _ in range(2)
    )

    assert first == second


def test_a_category_with_one_ticket_cannot_be_learned() -> None:
    examples = [example("1"), example("2"), example("3", category="ORDER")]

    with pytest.raises(UsageError, match="cannot learn the category ORDER"):
        baseline.answers(examples)
