"""A small storm over the whole stack, as `make chaos` makes a large one."""

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

from local.deploy import PROJECT
from local.processes import end, wait_for

SEED = 20_261_101


class Chaos:
    """`python -m devtools.chaos`, started in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.stack_folder = folder / "stack"
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.output = folder / "chaos.out"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        options = {"N": "40", "SEED": str(SEED), "STACK_DIR": str(self.stack_folder)}
        # A fifth of Step Functions' waits before retries: they take most of a storm's time.
        scaled = {"SFN_WAIT_SCALE": "0.2", "TMPDIR": str(self.temporary)}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "devtools.chaos"],
                cwd=PROJECT,
                env=kept | options | scaled,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def said(self) -> str:
        return self.output.read_text()

    def is_in_the_storm(self) -> bool:
        assert self.process.poll() is None, self.said()
        return "The storm begins" in self.said()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all runs, so that the functions are built once."""
    return tmp_path_factory.mktemp("chaos")


@pytest.fixture
def chaos(folder: Path) -> Iterator[Chaos]:
    chaos = Chaos(folder)
    yield chaos
    if chaos.process.poll() is None:
        end([psutil.Process(chaos.process.pid)])
    chaos.process.wait()


def test_a_storm_loses_no_ticket_that_was_accepted(chaos: Chaos, folder: Path) -> None:
    code = chaos.process.wait(timeout=280)

    assert code == 0, chaos.said()
    counts = json.loads((folder / "chaos.json").read_text())
    assert counts["seed"] == SEED
    assert counts["accepted"] == counts["processed"] == 40
    # Retries may ride out the whole of so small a storm: that there was one is seen by its faults.
    storm = re.search(r"functions killed (\d+) times, calls (\{.*\})", chaos.said())
    assert storm is not None
    assert int(storm[1]) > 0
    assert json.loads(storm[2])["dynamodb"].keys() > {"passed"}
    broken = ("lost", "announcedNever", "wrongContent", "cannedAnalyses", "passingFailures")
    assert [counts[name] for name in broken] == [0] * len(broken)


def test_ctrl_c_in_the_middle_of_a_storm_leaves_nothing(chaos: Chaos, folder: Path) -> None:
    assert wait_for(chaos.is_in_the_storm, 120)
    family = psutil.Process(chaos.process.pid).children(recursive=True)

    chaos.process.send_signal(signal.SIGINT)

    assert chaos.process.wait(timeout=60) == 130
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    assert list(chaos.temporary.iterdir()) == []
    left = {path.name for path in chaos.stack_folder.iterdir()}
    assert not left & {"tmp", "stack.json", "token", "agent-token", "passwords.json", "processes.json"}
    assert not left & {"aws.env", "admin-token", "service.json", "service.curl"}
    assert "Traceback" not in chaos.said()
    assert not (folder / "chaos.json").exists()
