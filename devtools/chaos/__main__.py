"""`python -m devtools.chaos`: prove that no accepted ticket is lost, whatever fails.

SEED (a random number, which is printed), N (500 tickets), CONCURRENCY (8) and STACK_DIR (.local/chaos) are
environment variables. The counts are printed, and written to chaos.json beside STACK_DIR. Exit codes: 0 the
promise was kept, 1 it was broken or the stack did not start, 130 stopped by a signal.
"""

import os
import sys
from collections.abc import Iterator
from functools import partial

from devtools.chaos.plan import ChaosPlan
from devtools.chaos.run import run
from devtools.load.program import exit_code, run_and_report
from devtools.load.report import Report
from local.console import echo


def main() -> bool:
    """Run once; return whether the promise was kept."""
    plan = ChaosPlan.from_environment(os.environ)
    echo(f"SEED={plan.seed} N={plan.tickets} CONCURRENCY={plan.concurrency}")
    report = run_and_report("chaos", partial(run, plan))
    for line in _details(report):
        echo(line)
    return report.promise_kept


def _details(report: Report) -> Iterator[str]:
    if twice := report.counts["notifiedTwice"]:
        yield (
            f"{twice} with more than one notification: SNS accepted the message, but its response was lost, "
            "or the function was killed before it could record the notification. "
            "The promise is at least once."
        )
    for name, ids in report.offending.items():
        yield f"{name}: {', '.join(ids)}"


if __name__ == "__main__":
    sys.exit(exit_code(main))
