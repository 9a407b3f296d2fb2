"""One run: a stack of its own, a scenario on it, and the verdict."""

import asyncio
from pathlib import Path

from devtools.load.pipeline import Pipeline
from devtools.storm.customers import Customers
from devtools.storm.model import Model
from devtools.storm.plan import Plan
from devtools.storm.scenarios import Scenario
from devtools.storm.stage import Stage
from devtools.storm.verdict import Found, Verdict, judge
from local.embedded_aws import EmbeddedAws
from local.processes import free_port
from local.run import process_group, say, start
from local.settings import Settings
from local.state import Stack

# The API's own limits must not slow the load down: what comes behind them is to be tested.
_OPEN_LIMITS = {
    "RequestRateLimit": "10000",
    "RequestBurstLimit": "5000",
    "SubmitRateLimit": "10000",
    "SubmitBurstLimit": "5000",
}


def run(scenario: Scenario, plan: Plan, folder: Path) -> Verdict:
    """Start a stack in the folder, play the scenario on it, stop it, and judge.

    Raises:
        StackError: the stack could not be started.
    """
    settings = Settings(port=free_port(), emulator_port=free_port(), folder=folder, parameters=_OPEN_LIMITS)
    with process_group(settings) as group:
        stack = start(settings, group, EmbeddedAws.with_new_key(settings.endpoint_url))
        say("The load begins.")
        found = asyncio.run(_play(scenario, plan, stack, folder))
    return judge(found, scenario.limits(plan))


async def _play(scenario: Scenario, plan: Plan, stack: Stack, folder: Path) -> Found:
    """Play until all tickets have ended, or the scenario's time is over."""
    async with Customers(plan, stack.api_url, (folder / "token").read_text()) as customers:
        stage = Stage(plan, Pipeline(stack, folder), customers, Model(stack.model_url))
        seconds = scenario.seconds(plan)
        try:
            async with asyncio.timeout(seconds):
                await scenario.play(stage)
                await stage.until_quiet()
        except TimeoutError:
            stage.complaints.append(f"not over after {seconds:.0f} s")
        return await _found(stage)


async def _found(stage: Stage) -> Found:
    return Found(
        began=stage.began,
        accepted=stage.customers.accepted,
        refused=stage.customers.refused,
        stored=await stage.tickets(),
        announcements=await asyncio.to_thread(stage.pipeline.announcements),
        failures=await asyncio.to_thread(stage.pipeline.failures),
        calls=await stage.model.calls(),
        idle_seconds=stage.idle_seconds,
        fresh=stage.fresh,
        peak_memory_bytes=stage.peak_memory_bytes,
        complaints=stage.complaints,
    )
