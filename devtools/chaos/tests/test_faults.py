"""Draws of faults."""

from collections import Counter

from devtools.chaos.faults import Fault, Faults


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_same_seed_draws_the_same_faults() -> None:
    first, second = Faults(), Faults()
    for faults in (first, second):
        faults.configure({"dynamodb": {"probability": 0.3}, "seed": 7})

    assert [first.draw("dynamodb") for _ in range(100)] == [second.draw("dynamodb") for _ in range(100)]


def test_faults_come_as_often_as_asked_and_in_all_kinds() -> None:
    faults = Faults()
    faults.configure({"dynamodb": {"probability": 0.3}, "seed": 7})

    drawn = Counter(faults.draw("dynamodb") for _ in range(2000))

    assert 500 < 2000 - drawn[None] < 700
    assert set(drawn) == {None, *Fault}


def test_an_outage_ends_by_itself() -> None:
    clock = Clock()
    faults = Faults(clock)
    faults.configure({"sns": {"outageSeconds": 3}})

    assert faults.draw("sns") is not None
    assert faults.draw("dynamodb") is None
    clock.now = 3
    assert faults.draw("sns") is None


def test_setting_one_services_faults_leaves_the_others_outage_alone() -> None:
    faults = Faults(Clock())
    faults.configure({"sns": {"outageSeconds": 3}})
    faults.configure({"dynamodb": {"probability": 0}})

    assert faults.draw("sns") is not None
