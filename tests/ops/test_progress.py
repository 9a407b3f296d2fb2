"""The progress of a replay and the estimate of the time left."""

import pytest

from ops.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_there_is_no_estimate_before_there_is_a_rate() -> None:
    clock = Clock()
    progress = Progress(2_000, clock)

    clock.now = 60
    assert progress.line() == "0 of 2,000 processed"
    progress.count(is_processed=True)
    clock.now = 70
    assert progress.line() == ""
    clock.now = 80
    assert progress.line().startswith("1 of 2,000 processed, about ")


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
        progress.count(is_processed=True)
    clock.now = 60

    assert progress.time_left() == left


def test_the_estimate_uses_only_the_last_three_minutes() -> None:
    clock = Clock()
    progress = Progress(1_000, clock)
    for _ in range(60):
        clock.now += 10
        progress.count(is_processed=True)
        progress.time_left()
    assert progress.time_left() == "about 3 h left"
    for _ in range(18):
        clock.now += 10
        for _ in range(10):
            progress.count(is_processed=True)
        progress.time_left()

    assert progress.time_left() == "about 13 min left"


def test_there_is_no_estimate_while_nothing_ends() -> None:
    clock = Clock()
    progress = Progress(10, clock)
    progress.count(is_processed=True)
    clock.now = 40
    assert progress.time_left()

    for _ in range(30):
        clock.now += 10
        progress.time_left()

    assert progress.time_left() == ""


def test_a_ticket_that_failed_again_has_ended_but_is_not_processed() -> None:
    clock = Clock()
    progress = Progress(2, clock)
    progress.count(is_processed=False)
    clock.now = 60

    assert progress.line() == "0 of 2 processed, about 1 min left"
