"""What both commands are given."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from ops.report import Report
from ops.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a command: on which stack, whether it may change anything, and for how many seconds."""

    target: Target
    report: Report
    dry_run: bool = False
    deadline: float = 300
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
