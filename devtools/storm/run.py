"""One run: start a stack, run a scenario on it, and evaluate."""

import asyncio
from pathlib import Path

from devtools.load.model import Model
from devtools.load.pipeline import OPEN_LIMITS, Pipeline
from devtools.load.report import Report
from devtools.load.tickets import submissions
from devtools.storm.customers import StormCustomers
from devtools.storm.plan import StormPlan
from devtools.storm.report import Observations, evaluate
from devtools.storm.scenario_run import ScenarioRun
from devtools.storm.scenarios import Scenario
from local.console import echo
from local.emulator import Emulator
from local.processes import free_port
from local.settings import Settings
from local.stack import Stack
from local.start import process_group, start


def run(scenario: Scenario, plan: StormPlan, folder: Path) -> Report:
    """Start a stack in the folder, run the scenario on it, stop it, and evaluate.

    Raises:
        StackError: the stack could not be started.
    """
    settings = Settings(port=free_port(), emulator_port=free_port(), folder=folder, parameters=OPEN_LIMITS)
    with process_group(settings) as group:
        stack = start(settings, group, Emulator.with_random_key(settings.endpoint_url))
        echo("Sending tickets.")
        observed = asyncio.run(_run_scenario(scenario, plan, stack, folder))
    return evaluate(observed, scenario.limits(plan))


async def _run_scenario(scenario: Scenario, plan: StormPlan, stack: Stack, folder: Path) -> Observations:
    """Run until all tickets are finished, or the scenario's time is over."""
    token, load = (folder / "token").read_text(), submissions(plan.random("tickets"))
    async with StormCustomers(stack.api_url, token, load) as customers:
        scenario_run = ScenarioRun(plan, Pipeline(stack, folder), customers, Model(stack.model_url))
        seconds = scenario.seconds(plan)
        try:
            async with asyncio.timeout(seconds):
                await scenario.execute(scenario_run)
                await scenario_run.wait_until_idle()
        except TimeoutError:
            scenario_run.errors.append(f"not finished after {seconds:.0f} s")
        return await _observations(scenario_run)


async def _observations(run: ScenarioRun) -> Observations:
    return Observations(
        started=run.started,
        accepted=run.customers.accepted,
        refused=run.customers.refused,
        stored=await run.tickets(),
        notifications=await asyncio.to_thread(run.pipeline.notifications),
        failures=await asyncio.to_thread(run.pipeline.failures),
        calls=await run.model.calls(),
        idle_seconds=run.idle_seconds,
        fresh=run.fresh,
        peak_memory_bytes=run.peak_memory_bytes,
        errors=run.errors,
    )
