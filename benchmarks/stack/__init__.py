"""What a running local stack shows: throughput, latencies, cold starts, reads, growth, memory and writes."""

from collections.abc import Callable, Collection, Mapping

from benchmarks.results import Measurements
from benchmarks.stack.bench import Bench, started
from benchmarks.stack.cold import measure_cold
from benchmarks.stack.load import measure_load
from benchmarks.stack.reads import measure_reads
from benchmarks.stack.single import measure_single
from benchmarks.stack.ticket import measure_ticket
from local.console import step

PARTS: Mapping[str, Callable[[Bench], dict[str, float]]] = {
    "load": measure_load,
    "single": measure_single,
    "cold": measure_cold,
    "reads": measure_reads,
    "ticket": measure_ticket,
}
_ROUNDS = 5


def measure(parts: Collection[str]) -> Measurements:
    """Measure these parts of PARTS, interleaved, on one stack.

    Raises:
        StackError: the stack could not be started, or did not process a ticket.
    """
    measurements: Measurements = {}
    names = [name for name in PARTS if name in parts]
    if not names:
        return measurements
    with started("bench") as bench:
        for number in range(_ROUNDS):
            for name in names:
                with step(f"Round {number + 1} of {_ROUNDS}: {name}"):
                    for key, value in PARTS[name](bench).items():
                        measurements.setdefault(key, []).append(value)
    return measurements
