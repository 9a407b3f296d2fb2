"""The context in which a command runs."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from ops.report import Report
from ops.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandContext:
    """The stack, the output and the options of a command.

    `dry_run` forbids changes. `deadline` is the maximum number of seconds to watch replayed tickets.
    """

    target: Target
    report: Report
    dry_run: bool = False
    deadline: float = 300
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
