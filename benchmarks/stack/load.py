"""The load: many tickets at once, with our functions and with functions that do nothing."""

from collections.abc import Sequence
from statistics import fmean, quantiles

from benchmarks.stack.bench import Bench
from benchmarks.stack.releases import noop_code
from benchmarks.stack.run import Run

_TICKETS = 200
_CLIENTS = 8


def measure_load(bench: Bench) -> dict[str, float]:
    """Send 200 tickets from 8 clients to our functions, and as many before and after to the others.

    The machine's speed varies from one minute to the next: the ratio compares with the mean of both.
    """
    before = _noop_rate(bench)
    ours = _send(bench)
    notified = bench.notified_at(ours)
    announced, rate = ours.seconds_until(notified), ours.tickets_per_second(max(notified.values()))
    noop_rate = fmean([before, _noop_rate(bench)])
    return {
        "load.ticketsPerSecond": rate,
        "load.noopTicketsPerSecond": noop_rate,
        "load.ratioToNoop": rate / noop_rate,
        "load.postP50Ms": percentile(ours.post_seconds, 50) * 1000,
        "load.postP95Ms": percentile(ours.post_seconds, 95) * 1000,
        "load.announcedP50s": percentile(announced, 50),
        "load.announcedP95s": percentile(announced, 95),
        "load.peakMemoryMb": ours.peak_memory_bytes / 1e6,
    }


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that this percentage of the values does not exceed, interpolated."""
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def _noop_rate(bench: Bench) -> float:
    """Tickets a second with functions that do nothing."""
    with bench.releases.live(noop_code()):
        noop = _send(bench)
        return noop.tickets_per_second(noop.ended)


def _send(bench: Bench) -> Run:
    bench.warm_up()
    bench.stored.set_number(0)
    return bench.send(_TICKETS, clients=_CLIENTS)
