"""`python -m devtools.storm`: proof that overload is latency, not failure.

SCENARIO (quota; or open, outage, replay, pairs), N, QUOTA, OUTAGE, SEED (printed; a random one) and STACK_DIR
(.local/storm) are environment variables; scenarios.py and plan.py have the numbers. The counts are printed,
and written to storm.json beside STACK_DIR. Exit codes: 0 the promise was kept, 1 it was not or the
stack did not start, 130 stopped by a signal.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from devtools.load.program import exit_code
from devtools.storm.plan import Plan
from devtools.storm.run import run
from devtools.storm.scenarios import SCENARIOS, Scenario
from devtools.storm.verdict import Verdict
from local.deploy import PROJECT
from local.run import say


def prove() -> bool:
    """Run one scenario; whether the promise was kept."""
    folder = Path(os.environ.get("STACK_DIR") or PROJECT / ".local" / "storm").resolve()
    report = folder.parent / "storm.json"
    name, scenario = _chosen(os.environ)
    plan = Plan.from_environment(os.environ, tickets=scenario.tickets)
    say(f"SCENARIO={name} SEED={plan.seed} N={plan.tickets} QUOTA={plan.quota} OUTAGE={plan.outage}")
    folder.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    verdict = run(scenario, plan, folder)
    document = {"scenario": name, "seed": plan.seed} | verdict.to_document()
    report.write_text(json.dumps(document, indent=2) + "\n")
    say(_told(verdict))
    return verdict.is_kept


def _chosen(environment: Mapping[str, str]) -> tuple[str, Scenario]:
    name = environment.get("SCENARIO") or "quota"
    if name not in SCENARIOS:
        raise ValueError(f"SCENARIO={name} is not one of {', '.join(SCENARIOS)}.")
    return name, SCENARIOS[name]


def _told(verdict: Verdict) -> str:
    lines = [f"{name:>25}  {value}" for name, value in verdict.counts.items()]
    return "\n".join([*lines, "Kept." if verdict.is_kept else f"Not kept: {'; '.join(verdict.broken)}."])


if __name__ == "__main__":
    sys.exit(exit_code(prove))
