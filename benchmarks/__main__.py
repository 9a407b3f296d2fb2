"""`python -m benchmarks`: measure the pipeline; write results.json, docs/performance.md and its pictures.

PARTS names some of the parts, separated by commas (all by default): the figures of the others are kept.
Progress goes to the standard error output. Exit codes: 0 measured, 1 the stack did not start or a part is
unknown, 130 stopped by a signal. Whether the goals are met does not change the exit code.
"""

import json
import os
import sys
from collections.abc import Collection, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from benchmarks import functions, stack, table
from benchmarks.cost import estimate
from benchmarks.goals import GOALS
from benchmarks.results import figure, to_document
from devtools.load.program import exit_code
from local.console import echo

_RESULTS = Path(__file__).with_name("results.json")
_PARTS = (*stack.PARTS, *functions.PARTS, "cost")


def main() -> bool:
    """Measure the chosen parts, write the document, and print the goals."""
    from benchmarks import plots  # noqa: PLC0415 - the tests of this module run without matplotlib

    parts = chosen_parts(os.environ)
    with redirect_stdout(sys.stderr):
        measurements = functions.measure(parts) | stack.measure(parts)
    document = to_document(measurements, {} if set(parts) == set(_PARTS) else _earlier())
    if "cost" in parts:
        document = to_document(estimate.measure(document), document)
    _RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    table.write(document)
    plots.write(document)
    echo(_goals(document))
    return True


def chosen_parts(environment: Mapping[str, str]) -> Collection[str]:
    """Read PARTS. Raises ValueError: it names an unknown part."""
    parts = (environment.get("PARTS") or ",".join(_PARTS)).split(",")
    if unknown := set(parts) - set(_PARTS):
        raise ValueError(f"PARTS must name some of {', '.join(_PARTS)}, not {', '.join(sorted(unknown))}.")
    return parts


def _earlier() -> dict[str, Any]:
    return dict(json.loads(_RESULTS.read_text())) if _RESULTS.exists() else {}


def _goals(document: Mapping[str, Any]) -> str:
    """The figures that have a goal, one a line."""
    lines = []
    for key, goal in GOALS.items():
        value = figure(document, key)
        if value is not None:
            result = "met" if goal.is_met_by(value) else "not met"
            lines.append(f"{key:>32}  {value:<8g} {goal!s:<8} {result}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(exit_code(main))
