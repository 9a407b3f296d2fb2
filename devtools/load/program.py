"""How a program that ends with a verdict ends: its signals and its exit codes."""

import signal
import sys
from collections.abc import Callable

from local.run import say
from local.settings import StackError


def exit_code(proves: Callable[[], bool]) -> int:
    """0 when it proves its promise, 1 when it does not or the stack did not start, 130 after a signal."""
    # Both in the way that asyncio knows, whatever the shell that started this made of them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        return 0 if proves() else 1
    except (StackError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        say("Stopped.")
        return 130
