"""`python -m benchmarks`: measure the pipeline, and write results.json.

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

from benchmarks import stack
from benchmarks.goals import GOALS
from benchmarks.results import figure, to_document
from devtools.load.program import exit_code
from local.console import echo

_RESULTS = Path(__file__).with_name("results.json")
_PARTS = tuple(stack.PARTS)


def main() -> bool:
    """Measure the chosen parts, write the document, and print the goals."""
    parts = chosen_parts(os.environ)
    with redirect_stdout(sys.stderr):
        measurements = stack.measure(parts)
    document = to_document(measurements, {} if set(parts) == set(_PARTS) else _earlier())
    _RESULTS.write_text(json.dumps(document, indent=2) + "\n")
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
