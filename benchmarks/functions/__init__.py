"""What needs only the built functions: cold starts, warm calls, the artifact's size, the model's tokens."""

from collections.abc import Callable, Collection, Mapping

from benchmarks.functions import artifact, cold_start, tokens, warm
from benchmarks.results import Measurements
from local.console import step

PARTS: Mapping[str, Callable[[], Measurements]] = {
    "artifact": artifact.measure,
    "tokens": tokens.measure,
    "warm": warm.measure,
    "coldStart": cold_start.measure,
}


def measure(parts: Collection[str]) -> Measurements:
    """Measure these parts of PARTS.

    Raises:
        StackError: the functions could not be built.
    """
    measurements: Measurements = {}
    for name in [name for name in PARTS if name in parts]:
        with step(f"Functions: {name}"):
            measurements |= PARTS[name]()
    return measurements
