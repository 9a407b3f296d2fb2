"""The scenarios: kinds of load, each with its own time limit and further limits.

All of them check the promise: every accepted ticket has exactly one notification, and none fails.
"""

import asyncio
from abc import ABC, abstractmethod
from typing import ClassVar, override

from devtools.load.memory import PeakMemory
from devtools.storm.plan import StormPlan
from devtools.storm.replay import replay
from devtools.storm.report import Limits
from devtools.storm.scenario_run import ScenarioRun
from devtools.storm.single_tickets import fresh_tickets, measure_idle

_SLACK_SECONDS = 180
_THROTTLED_CALLS = 6
_GAPS_SECONDS = (0, 0.01, 0.03, 0.1)
# Well below what the emulator can process, so that the tickets fail for no other cause than the scenario's.
_FAILING_TICKETS_PER_SECOND = 8


class Scenario(ABC):
    """One kind of load on a running stack."""

    tickets: ClassVar[int]
    """The number of tickets, unless N sets another."""

    @abstractmethod
    async def execute(self, run: ScenarioRun) -> None:
        """Send the tickets; wait for them only where the scenario depends on it."""

    @abstractmethod
    def seconds(self, plan: StormPlan) -> float:
        """The time limit of the run."""

    def limits(self, plan: StormPlan) -> Limits:  # noqa: ARG002 (most scenarios use the plan)
        """The limits that the counts must not exceed."""
        return Limits()


class Quota(Scenario):
    """A burst while the model has a quota of calls a second; fresh tickets come while the burst waits."""

    tickets = 600

    @override
    async def execute(self, run: ScenarioRun) -> None:
        await measure_idle(run)
        await run.model.set_quota(run.plan.quota)
        run.start_load()
        burst = await run.customers.burst(run.plan.tickets)
        async with fresh_tickets(run):
            await run.wait_until_finished(burst)

    @override
    def seconds(self, plan: StormPlan) -> float:
        return self.limits(plan).elapsed_seconds + _SLACK_SECONDS

    @override
    def limits(self, plan: StormPlan) -> Limits:
        return Limits(
            elapsed_seconds=1.3 * plan.quota_seconds + 60, throttled_calls_per_ticket=_THROTTLED_CALLS
        )


class Open(Scenario):
    """A burst while the model has no quota; measures speed and memory."""

    tickets = 1_000

    @override
    async def execute(self, run: ScenarioRun) -> None:
        memory = PeakMemory()
        async with memory.sampled():
            run.start_load()
            burst = await run.customers.burst(run.plan.tickets)
            await run.wait_until_finished(burst)
        run.peak_memory_bytes = memory.size

    @override
    def seconds(self, plan: StormPlan) -> float:
        return plan.tickets + _SLACK_SECONDS


class Outage(Scenario):
    """A steady load; the model is down for the middle half of it, and has a quota afterwards."""

    tickets = 120

    @override
    async def execute(self, run: ScenarioRun) -> None:
        outage = run.plan.outage
        run.start_load()
        async with asyncio.TaskGroup() as load:
            load.create_task(run.customers.steady(run.plan.tickets, 2 * outage))
            await asyncio.sleep(outage / 2)
            await run.model.set_faults({"error": 1})
            await asyncio.sleep(outage)
            await run.model.set_quota(run.plan.quota)

    @override
    def seconds(self, plan: StormPlan) -> float:
        return 2 * plan.outage + 1.3 * plan.quota_seconds + _SLACK_SECONDS

    @override
    def limits(self, plan: StormPlan) -> Limits:
        # Only the calls after the outage are throttled; those during the outage fail with another error.
        return Limits(throttled_calls_per_ticket=_THROTTLED_CALLS)


class Replay(Scenario):
    """All tickets fail with a permanent error; then all are replayed at once while the model has a quota."""

    tickets = 200

    @override
    async def execute(self, run: ScenarioRun) -> None:
        await measure_idle(run)
        await run.model.set_faults({"deny": 1})
        await run.customers.steady(run.plan.tickets, run.plan.tickets / _FAILING_TICKETS_PER_SECOND)
        await run.wait_until_idle()
        await run.model.set_quota(run.plan.quota)
        run.start_load()
        async with fresh_tickets(run):
            await replay(run, round(self._replay_seconds(run.plan)))

    @override
    def seconds(self, plan: StormPlan) -> float:
        return plan.tickets + self._replay_seconds(plan) + _SLACK_SECONDS

    def _replay_seconds(self, plan: StormPlan) -> float:
        return 1.3 * plan.quota_seconds + _SLACK_SECONDS


class Pairs(Scenario):
    """Every submission is sent twice under one Idempotency-Key, 0, 10, 30 or 100 ms apart."""

    tickets = 40
    """The number of tickets for each gap."""

    @override
    async def execute(self, run: ScenarioRun) -> None:
        run.start_load()
        for gap in _GAPS_SECONDS:
            await run.customers.pairs(run.plan.tickets, gap)

    @override
    def seconds(self, plan: StormPlan) -> float:
        return len(_GAPS_SECONDS) * plan.tickets + _SLACK_SECONDS

    @override
    def limits(self, plan: StormPlan) -> Limits:
        return Limits(answered_calls_per_ticket=1)


SCENARIOS: dict[str, Scenario] = {
    "quota": Quota(),
    "open": Open(),
    "outage": Outage(),
    "replay": Replay(),
    "pairs": Pairs(),
}
