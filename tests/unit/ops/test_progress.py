"""How far a command has come, and how long the rest may take."""

import pytest

from ops.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_there_is_no_estimate_before_there_is_a_pace() -> None:
    clock = Clock()
    progress = Progress(2_000, clock)

    clock.now = 60
    assert progress.news() == "0 of 2,000 processed"
    progress.end(is_processed=True)
    clock.now = 70
    assert progress.news() == ""
    clock.now = 80
    assert progress.news().startswith("1 of 2,000 processed, about ")


@pytest.mark.parametrize(
    ("total", "left"),
    [
        (30, "less than a minute left"),
        (120, "about 3 min left"),
        (2_000, "about 66 min left"),
        (10_000, "about 6 h left"),
    ],
)
def test_the_estimate_is_rounded(total: int, left: str) -> None:
    clock = Clock()
    progress = Progress(total, clock)
    for _ in range(30):
        progress.end(is_processed=True)
    clock.now = 60

    assert progress.estimate() == left


def test_only_the_last_minutes_count() -> None:
    clock = Clock()
    progress = Progress(1_000, clock)
    for _ in range(60):
        clock.now += 10
        progress.end(is_processed=True)
        progress.estimate()
    assert progress.estimate() == "about 3 h left"
    for _ in range(18):
        clock.now += 10
        for _ in range(10):
            progress.end(is_processed=True)
        progress.estimate()

    assert progress.estimate() == "about 13 min left"


def test_while_nothing_ends_there_is_no_estimate() -> None:
    clock = Clock()
    progress = Progress(10, clock)
    progress.end(is_processed=True)
    clock.now = 40
    assert progress.estimate()

    for _ in range(30):
        clock.now += 10
        progress.estimate()

    assert progress.estimate() == ""


def test_what_failed_again_has_ended_but_was_not_processed() -> None:
    clock = Clock()
    progress = Progress(2, clock)
    progress.end(is_processed=False)
    clock.now = 60

    assert progress.news() == "0 of 2 processed, about 1 min left"
