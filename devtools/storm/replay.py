"""The operator: replays everything that failed, by the operators' own command."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT

from devtools.storm.stage import Stage
from local.deploy import PROJECT


async def replay(stage: Stage, seconds: int) -> None:
    """Run `python -m ops replay`, which watches the tickets for so long; complain if it does."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ops", "replay",
        cwd=PROJECT,
        env=stage.pipeline.operators_environment(deadline_seconds=seconds),
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
        last = output.decode().strip().rpartition("\n")[2]
        stage.complaints.append(f"ops replay ended with {process.returncode}: {last}")
