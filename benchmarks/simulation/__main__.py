"""`python -m benchmarks.simulation`: simulate a load with an outage of the model, and print what happens.

SCENARIO is `day` (by default: RATE tickets a second for HOURS, with the model's QUOTA and RESUME tickets
resumed at a time; draws docs/scale/day.svg) or `outage` (the load of `make storm SCENARIO=outage`). The
outage lasts OUTAGE seconds. SEED is 1 by default. The durations of the steps are those of results.json.
Exit codes: 0 simulated, 1 an option is invalid or a figure is missing, 130 stopped by a signal.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.simulation.pipeline import simulate
from benchmarks.simulation.records import Records
from benchmarks.simulation.report import to_text
from benchmarks.simulation.scenario import Scenario, Times, nova_seconds
from benchmarks.stack.bench import MODEL_SECONDS
from devtools.load.plan import whole_number
from devtools.load.program import exit_code
from local.console import echo
from local.settings import PROJECT

_RESULTS = Path(__file__).parents[1] / "results.json"
_PICTURE = PROJECT / "docs" / "scale" / "day.svg"


def main(environment: Mapping[str, str] = os.environ) -> bool:
    """Simulate, print the summary, and draw a day."""
    name = environment.get("SCENARIO") or "day"
    if name not in ("day", "outage"):
        raise ValueError(f"SCENARIO must be day or outage, not {name}.")
    document = json.loads(_RESULTS.read_text()) if _RESULTS.exists() else {}
    times = Times.from_document(document, bench_model_seconds=MODEL_SECONDS)
    seed = whole_number(environment, "SEED", 1, 0, 2**63)
    if name == "outage":
        scenario = Scenario.storm(environment)
        echo(to_text(simulate(scenario, times, seed), scenario))
        return True
    scenario = Scenario.day(environment)
    records = simulate(scenario, replace(times, model=nova_seconds(document)), seed)
    echo(to_text(records, scenario))
    _draw(records, scenario)
    return True


def _draw(records: Records, scenario: Scenario) -> None:
    from benchmarks.simulation.picture import draw  # noqa: PLC0415 - only `make simulate` has matplotlib

    draw(records, scenario, _PICTURE)
    echo(f"The picture: {_PICTURE.relative_to(PROJECT)}")


if __name__ == "__main__":
    sys.exit(exit_code(main))
