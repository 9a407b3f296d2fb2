"""The operator, who replays all failed tickets with `make replay`'s command."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT

from devtools.storm.scenario_run import ScenarioRun
from local.settings import PROJECT


async def replay(run: ScenarioRun, seconds: int) -> None:
    """Run `python -m ops replay`, which watches the tickets for so long; record an error if it fails."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ops", "replay",
        cwd=PROJECT,
        env=run.pipeline.operator_environment(deadline_seconds=seconds),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
    )  # fmt: skip
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if process.returncode:
        last_line = output.decode().strip().rpartition("\n")[2]
        run.errors.append(f"ops replay exited with code {process.returncode}: {last_line}")
