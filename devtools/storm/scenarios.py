"""The scenarios: each is one kind of load, how long it may take, and what it asks for beside the promise.

The promise holds for all: every accepted ticket is announced, once, and none fails.
"""

import asyncio
from abc import ABC, abstractmethod
from typing import ClassVar, override

from devtools.storm.memory import PeakMemory
from devtools.storm.plan import Plan
from devtools.storm.replay import replay
from devtools.storm.single_tickets import fresh_tickets, measure_idle
from devtools.storm.stage import Stage
from devtools.storm.verdict import Limits

_SLACK_SECONDS = 180
_REFUSED_CALLS = 6
_GAPS_SECONDS = (0, 0.01, 0.03, 0.1)
# Well below what the emulator can run, so that the tickets fail for the one cause that the scenario is about.
_FAILING_TICKETS_PER_SECOND = 8


class Scenario(ABC):
    """One kind of load, played on a running stack."""

    tickets: ClassVar[int]
    """How many, unless N says so."""

    @abstractmethod
    async def play(self, stage: Stage) -> None:
        """Send the tickets, and wait for their end as far as the scenario itself depends on it."""

    @abstractmethod
    def seconds(self, plan: Plan) -> float:
        """After how long the run is over, whether or not all tickets have ended."""

    def limits(self, plan: Plan) -> Limits:  # noqa: ARG002 (most of them use the plan)
        """What the counts may not exceed."""
        return Limits()


class Quota(Scenario):
    """A burst against a model with a quota of calls a second; later tickets come while it waits."""

    tickets = 600

    @override
    async def play(self, stage: Stage) -> None:
        await measure_idle(stage)
        await stage.model.limit(stage.plan.quota)
        stage.begin()
        burst = await stage.customers.burst(stage.plan.tickets)
        async with fresh_tickets(stage):
            await stage.until_ended(burst)

    @override
    def seconds(self, plan: Plan) -> float:
        return self.limits(plan).elapsed_seconds + _SLACK_SECONDS

    @override
    def limits(self, plan: Plan) -> Limits:
        return Limits(
            elapsed_seconds=1.3 * plan.quota_seconds + 60, throttled_calls_per_ticket=_REFUSED_CALLS
        )


class Open(Scenario):
    """A burst against a model without a quota: how fast, and with how much memory."""

    tickets = 1_000

    @override
    async def play(self, stage: Stage) -> None:
        memory = PeakMemory()
        async with memory.sampled():
            stage.begin()
            burst = await stage.customers.burst(stage.plan.tickets)
            await stage.until_ended(burst)
        stage.peak_memory_bytes = memory.size

    @override
    def seconds(self, plan: Plan) -> float:
        return plan.tickets + _SLACK_SECONDS


class Outage(Scenario):
    """A steady load, in the middle half of which the model is down; after that it has a quota."""

    tickets = 120

    @override
    async def play(self, stage: Stage) -> None:
        outage = stage.plan.outage
        stage.begin()
        async with asyncio.TaskGroup() as load:
            load.create_task(stage.customers.steady(stage.plan.tickets, 2 * outage))
            await asyncio.sleep(outage / 2)
            await stage.model.set_faults({"error": 1})
            await asyncio.sleep(outage)
            await stage.model.limit(stage.plan.quota)

    @override
    def seconds(self, plan: Plan) -> float:
        return 2 * plan.outage + 1.3 * plan.quota_seconds + _SLACK_SECONDS

    @override
    def limits(self, plan: Plan) -> Limits:
        # Only after the outage are calls throttled: those during it fail otherwise.
        return Limits(throttled_calls_per_ticket=_REFUSED_CALLS)


class Replay(Scenario):
    """All tickets fail for a permanent cause, and are replayed at once against a model with a quota."""

    tickets = 200

    @override
    async def play(self, stage: Stage) -> None:
        await measure_idle(stage)
        await stage.model.set_faults({"deny": 1})
        await stage.customers.steady(stage.plan.tickets, stage.plan.tickets / _FAILING_TICKETS_PER_SECOND)
        await stage.until_quiet()
        await stage.model.limit(stage.plan.quota)
        stage.begin()
        async with fresh_tickets(stage):
            await replay(stage, round(self._replay_seconds(stage.plan)))

    @override
    def seconds(self, plan: Plan) -> float:
        return plan.tickets + self._replay_seconds(plan) + _SLACK_SECONDS

    def _replay_seconds(self, plan: Plan) -> float:
        return 1.3 * plan.quota_seconds + _SLACK_SECONDS


class Pairs(Scenario):
    """Every submission comes twice under one Idempotency-Key, 0, 10, 30 or 100 ms apart."""

    tickets = 40
    """For each of the gaps."""

    @override
    async def play(self, stage: Stage) -> None:
        stage.begin()
        for gap in _GAPS_SECONDS:
            await stage.customers.pairs(stage.plan.tickets, gap)

    @override
    def seconds(self, plan: Plan) -> float:
        return len(_GAPS_SECONDS) * plan.tickets + _SLACK_SECONDS

    @override
    def limits(self, plan: Plan) -> Limits:
        return Limits(answered_calls_per_ticket=1)


SCENARIOS: dict[str, Scenario] = {
    "quota": Quota(),
    "open": Open(),
    "outage": Outage(),
    "replay": Replay(),
    "pairs": Pairs(),
}
