"""The AWS SAM CLI, run against the emulator."""

import shutil
import sys
from pathlib import Path

from local.emulator import Emulator
from local.private_files import open_private
from local.processes import last_error, run_command
from local.settings import PROJECT, Settings, StackError


def sam(settings: Settings, emulator: Emulator, command: str, *arguments: str) -> None:
    """Run `sam command arguments…`; its output goes to `<command>.log` in the stack's folder.

    Raises:
        StackError: sam is not installed, or the command failed.
    """
    executable = shutil.which("sam", path=str(Path(sys.executable).parent))
    if executable is None:
        raise StackError("sam is missing from .venv: create .venv again with `make clean .venv`.")
    log = settings.folder / f"{command}.log"
    environment = emulator.environment() | {
        "SAM_CLI_TELEMETRY": "0",
        # Seconds between two status requests. sam's default, 5, protects against throttling by AWS.
        "SAM_CLI_POLL_DELAY": "0.2",
        "TMPDIR": str(settings.temporary),
    }
    with open_private(log) as output:
        code = run_command(
            [executable, command, *arguments], cwd=PROJECT, environment=environment, output=output
        )
    if code:
        raise StackError(f"`sam {command}` failed: {last_error(log)}")
