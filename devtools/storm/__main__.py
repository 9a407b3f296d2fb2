"""`python -m devtools.storm`: prove that overload is latency, not failure.

SCENARIO (quota; or open, outage, replay, pairs), N, QUOTA, OUTAGE, SEED (a random number, which is printed)
and STACK_DIR (.local/storm) are environment variables; scenarios.py and plan.py have the defaults. The counts
are printed, and written to storm.json beside STACK_DIR. Exit codes: 0 the promise was kept, 1 it was broken
or the stack did not start, 130 stopped by a signal.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from devtools.load.program import exit_code, run_and_report
from devtools.load.report import Report
from devtools.storm.plan import StormPlan
from devtools.storm.run import run
from devtools.storm.scenarios import SCENARIOS
from local.console import echo


def main() -> bool:
    """Run one scenario; return whether the promise was kept."""
    name = _scenario_name(os.environ)
    scenario = SCENARIOS[name]
    plan = StormPlan.from_environment(os.environ, tickets=scenario.tickets)
    echo(f"SCENARIO={name} SEED={plan.seed} N={plan.tickets} QUOTA={plan.quota} OUTAGE={plan.outage}")

    def run_scenario(folder: Path) -> Report:
        report = run(scenario, plan, folder)
        return replace(report, counts={"scenario": name, "seed": plan.seed, **report.counts})

    return run_and_report("storm", run_scenario).promise_kept


def _scenario_name(environment: Mapping[str, str]) -> str:
    name = environment.get("SCENARIO") or "quota"
    if name not in SCENARIOS:
        raise ValueError(f"SCENARIO must be one of {', '.join(SCENARIOS)}, not {name}.")
    return name


if __name__ == "__main__":
    sys.exit(exit_code(main))
