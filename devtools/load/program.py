"""What the programs have in common: their folder, their report, their signals and their exit codes."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from devtools.load.report import Report
from local.console import echo
from local.settings import PROJECT, StackError


def run_and_report(name: str, run: Callable[[Path], Report]) -> Report:
    """Run in the folder STACK_DIR (`.local/<name>`); print the report, and write `<name>.json` beside it."""
    folder = Path(os.environ.get("STACK_DIR") or PROJECT / ".local" / name).resolve()
    file = folder.parent / f"{name}.json"
    folder.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    report = run(folder)
    file.write_text(json.dumps(report.to_document(), indent=2) + "\n")
    echo(report.to_text())
    return report


def exit_code(main: Callable[[], bool]) -> int:
    """0: `main` returned True. 1: it returned False, or the stack did not start. 130: a signal stopped it."""
    # asyncio handles Ctrl-C only with the default handler, and a shell may have set SIGINT to be ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        return 0 if main() else 1
    except (StackError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        echo("Stopped.")
        return 130
