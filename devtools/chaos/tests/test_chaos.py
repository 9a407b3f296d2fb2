"""A short `make chaos` on a whole stack."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local.processes import terminate, wait_for
from local.settings import PROJECT

SEED = 20_261_101


class Chaos:
    """`python -m devtools.chaos`, started in its own folder."""

    def __init__(self, folder: Path) -> None:
        self.stack_folder = folder / "stack"
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.output = folder / "chaos.out"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        options = {"N": "40", "SEED": str(SEED), "STACK_DIR": str(self.stack_folder)}
        # A fifth of Step Functions' waits before retries, which take most of the time.
        scaled = {"SFN_WAIT_SCALE": "0.2", "TMPDIR": str(self.temporary)}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "devtools.chaos"],
                cwd=PROJECT,
                env=kept | options | scaled,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def printed(self) -> str:
        return self.output.read_text()

    def is_injecting_faults(self) -> bool:
        assert self.process.poll() is None, self.printed()
        return "Injecting faults" in self.printed()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all runs."""
    return tmp_path_factory.mktemp("chaos")


@pytest.fixture
def chaos(folder: Path) -> Iterator[Chaos]:
    chaos = Chaos(folder)
    yield chaos
    if chaos.process.poll() is None:
        terminate([psutil.Process(chaos.process.pid)])
    chaos.process.wait()


def test_faults_lose_no_accepted_ticket(chaos: Chaos, folder: Path) -> None:
    code = chaos.process.wait(timeout=280)

    assert code == 0, chaos.printed()
    counts = json.loads((folder / "chaos.json").read_text())
    assert counts["seed"] == SEED
    assert counts["accepted"] == counts["processed"] == 40
    # The faults show that there were any, even if retries were enough to recover from all of them.
    faults = re.search(r"functions killed (\d+) times, calls (\{.*\})", chaos.printed())
    assert faults is not None
    assert int(faults[1]) > 0
    assert json.loads(faults[2])["dynamodb"].keys() > {"passed"}
    broken = ("lost", "neverNotified", "wrongContent", "cannedAnalyses", "passingFailures")
    assert [counts[name] for name in broken] == [0] * len(broken)


def test_ctrl_c_during_the_faults_leaves_nothing_behind(chaos: Chaos, folder: Path) -> None:
    assert wait_for(chaos.is_injecting_faults, 120)
    family = psutil.Process(chaos.process.pid).children(recursive=True)

    chaos.process.send_signal(signal.SIGINT)

    assert chaos.process.wait(timeout=60) == 130
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    assert list(chaos.temporary.iterdir()) == []
    left = {path.name for path in chaos.stack_folder.iterdir()}
    assert not left & {"tmp", "stack.json", "token", "agent-token", "passwords.json", "processes.json"}
    assert not left & {"aws.env", "admin-token", "service.json", "service.curl"}
    assert "Traceback" not in chaos.printed()
    assert not (folder / "chaos.json").exists()
