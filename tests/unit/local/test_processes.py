"""The processes of a stack: their logs are private, and what ended one of them is said as it was."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.processes import ProcessGroup, wait_for
from local.settings import StackError

OLD_LINE = "ERROR: an old request failed"


@pytest.fixture
def group(tmp_path: Path) -> Iterator[ProcessGroup]:
    """A group in a folder whose module `part` runs what is written to it."""
    group = ProcessGroup(tmp_path)
    yield group
    group.stop()


def start(group: ProcessGroup, folder: Path, program: str) -> None:
    (folder / "part.py").write_text(f"print({OLD_LINE!r}, flush=True)\n{program}\n")
    group.start("part", "part", environment=os.environ | {"PYTHONPATH": str(folder)})


def ended(group: ProcessGroup) -> str:
    reasons: list[str] = []

    def has_ended() -> bool:
        try:
            group.check()
        except StackError as error:
            reasons.append(str(error))
        return bool(reasons)

    assert wait_for(has_ended, 20)
    return reasons[0]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_signal_is_named_as_the_cause_and_no_line_of_the_log(
    group: ProcessGroup, tmp_path: Path, number: signal.Signals
) -> None:
    start(group, tmp_path, f"import os; os.kill(os.getpid(), {number.value})")
    reason = ended(group)
    assert f"was ended by signal {number.value} ({signal.strsignal(number)})" in reason
    assert "part.log" in reason
    assert OLD_LINE not in reason


def test_of_a_part_that_failed_the_last_line_is_the_cause(group: ProcessGroup, tmp_path: Path) -> None:
    start(group, tmp_path, "raise OSError('no space left')")
    assert "ended with code 1: OSError: no space left" in ended(group)


def test_a_part_that_was_asked_to_stop_has_no_cause_in_its_log(group: ProcessGroup, tmp_path: Path) -> None:
    start(group, tmp_path, "")
    reason = ended(group)
    assert "stopped as if it had been asked to" in reason
    assert OLD_LINE not in reason


def test_a_log_is_private_also_when_an_older_one_was_not(group: ProcessGroup, tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    log.touch(mode=0o644)
    start(group, tmp_path, "")
    assert log.stat().st_mode & 0o777 == 0o600
