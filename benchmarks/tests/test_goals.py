import pytest

from benchmarks.goals import GOALS, Goal


@pytest.mark.parametrize(
    ("goal", "figure", "is_met"),
    [
        (Goal(70, at_least=True), 70, True),
        (Goal(70, at_least=True), 69.9, False),
        (Goal(1.8), 1.8, True),
        (Goal(1.8), 1.9, False),
    ],
)
def test_a_goal_is_met_at_its_limit_and_on_its_good_side(goal: Goal, figure: float, is_met: bool) -> None:
    assert goal.is_met_by(figure) is is_met


def test_a_goal_is_written_with_its_direction() -> None:
    assert [str(GOALS["load.ticketsPerSecond"]), str(GOALS["single.announcedMs"])] == ["≥ 70", "≤ 110"]
