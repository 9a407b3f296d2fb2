"""`python -m devtools.chaos`: proof that no accepted ticket is lost, whatever fails.

SEED (printed; a random one), N (500 tickets), CONCURRENCY (8) and STACK_DIR (.local/chaos) are environment
variables. The counts are printed, and written to chaos.json beside STACK_DIR. Exit codes: 0 the promise was
kept, 1 it was not or the stack did not start, 130 stopped by a signal.
"""

import json
import os
import sys
from pathlib import Path

from devtools.chaos.plan import Plan
from devtools.chaos.run import run
from devtools.chaos.verdict import Verdict
from devtools.load.program import exit_code
from local.deploy import PROJECT
from local.run import say


def prove() -> bool:
    """Run once; whether the promise was kept."""
    folder = Path(os.environ.get("STACK_DIR") or PROJECT / ".local" / "chaos").resolve()
    report = folder.parent / "chaos.json"
    plan = Plan.from_environment(os.environ)
    say(f"SEED={plan.seed} N={plan.tickets} CONCURRENCY={plan.concurrency}")
    folder.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    verdict = run(plan, folder)
    report.write_text(json.dumps(verdict.to_document(), indent=2) + "\n")
    say(_told(verdict))
    return verdict.is_kept


def _told(verdict: Verdict) -> str:
    lines = [f"{name:>20}  {value}" for name, value in verdict.to_document().items()]
    if verdict.announced_twice:
        lines.append(
            f"{verdict.announced_twice} announced more than once: SNS took the message, but its answer was "
            "lost or the function was cut off before it could note it; the promise is at least once."
        )
    lines += [f"{name}: {', '.join(keys)}" for name, keys in verdict.offending.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(exit_code(prove))
