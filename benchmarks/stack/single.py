"""One ticket at a time, on a stack that is otherwise idle."""

from statistics import median

from benchmarks.stack.bench import Bench

_TICKETS = 12


def measure_single(bench: Bench) -> dict[str, float]:
    """Send 12 tickets, each when the one before is finished."""
    bench.stored.set_number(0)
    run = bench.send_one_at_a_time(_TICKETS)
    return {
        "single.postMs": median(run.post_seconds) * 1000,
        "single.announcedMs": median(run.seconds_until(bench.notified_at(run))) * 1000,
    }
