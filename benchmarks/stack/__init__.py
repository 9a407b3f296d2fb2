"""What a running local stack shows: throughput, latencies, cold starts, reads, growth, memory and writes."""

from collections.abc import Callable, Collection, Mapping

from benchmarks.results import Measurements
from benchmarks.stack.bench import Bench, started
from benchmarks.stack.cold import measure_cold
from benchmarks.stack.console import measure_console
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
    "console": measure_console,
}
# The console lists all executions of a stack: it is measured on one of its own.
_ALONE = {"console"}
_ROUNDS = 5


def measure(parts: Collection[str]) -> Measurements:
    """Measure these parts of PARTS.

    Raises:
        StackError: the stack could not be started, or did not process a ticket.
    """
    measurements: Measurements = {}
    together, alone = set(parts) - _ALONE, set(parts) & _ALONE
    for names in ([name for name in PARTS if name in group] for group in (together, alone)):
        if names:
            _measure_interleaved(names, measurements)
    return measurements


def _measure_interleaved(names: Collection[str], measurements: Measurements) -> None:
    """Measure these parts in turn, on one stack."""
    with started("bench") as bench:
        for number in range(_ROUNDS):
            for name in names:
                with step(f"Round {number + 1} of {_ROUNDS}: {name}"):
                    for key, value in PARTS[name](bench).items():
                        measurements.setdefault(key, []).append(value)
