"""How faults are drawn."""

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


def test_faults_have_the_given_probability_and_all_kinds() -> None:
    faults = Faults()
    faults.configure({"dynamodb": {"probability": 0.3}, "seed": 7})

    drawn = Counter(faults.draw("dynamodb") for _ in range(2000))

    assert 500 < 2000 - drawn[None] < 700
    assert set(drawn) == {None, *Fault}


def test_an_outage_ends_after_its_duration() -> None:
    clock = Clock()
    faults = Faults(clock)
    faults.configure({"sns": {"outageSeconds": 3}})

    assert faults.draw("sns") is not None
    assert faults.draw("dynamodb") is None
    clock.now = 3
    assert faults.draw("sns") is None


def test_setting_the_faults_of_one_service_does_not_change_those_of_another() -> None:
    faults = Faults(Clock())
    faults.configure({"sns": {"outageSeconds": 3}})
    faults.configure({"dynamodb": {"probability": 0}})

    assert faults.draw("sns") is not None
