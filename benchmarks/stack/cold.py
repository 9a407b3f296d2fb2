"""The first ticket of a release: no worker of its functions has started."""

from benchmarks.stack.bench import Bench
from benchmarks.stack.releases import built_code


def measure_cold(bench: Bench) -> dict[str, float]:
    """Publish the same code as another release, and send one ticket."""
    with bench.releases.live(built_code()):
        run = bench.send_one_at_a_time(1)
    (announced,) = run.seconds_until(bench.notified_at(run))
    return {"cold.firstTicketMs": announced * 1000}
