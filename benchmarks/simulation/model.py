"""The model: it answers, refuses calls above its quota, or is down."""

from collections.abc import Callable

from benchmarks.simulation.scenario import Scenario
from devtools.model.faults import Quota


class Model:
    """Has the token bucket of the local stack's model stand-in; the clock returns seconds."""

    def __init__(self, scenario: Scenario, clock: Callable[[], float]) -> None:
        self._scenario = scenario
        self._clock = clock
        self._quota = Quota(scenario.quota, scenario.quota, clock)

    def error(self) -> str | None:
        """Call the model: the error of the call, or None if it is answered."""
        now = self._clock()
        if self._scenario.outage_start <= now < self._scenario.outage_end:
            return "ModelUnavailable"
        if now >= self._scenario.quota_start and not self._quota.try_take():
            return "ModelThrottled"
        return None
