"""The processes of a stack: why one exited, and who may read the logs."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.processes import ProcessGroup, free_port, require_free_port, wait_for
from local.settings import StackError

OLD_LINE = "ERROR: an old request failed"


@pytest.fixture
def group(tmp_path: Path) -> Iterator[ProcessGroup]:
    """A process group whose folder holds the program of its process, `server.py`."""
    group = ProcessGroup(tmp_path)
    yield group
    group.stop()


def start(group: ProcessGroup, folder: Path, program: str) -> None:
    (folder / "server.py").write_text(f"print({OLD_LINE!r}, flush=True)\n{program}\n")
    group.start("server", "server", environment=os.environ | {"PYTHONPATH": str(folder)})


def exit_reason(group: ProcessGroup) -> str:
    reasons: list[str] = []

    def has_exited() -> bool:
        try:
            group.check()
        except StackError as error:
            reasons.append(str(error))
        return bool(reasons)

    assert wait_for(has_exited, 20)
    return reasons[0]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_the_reason_of_a_killed_process_is_the_signal_and_not_a_line_of_the_log(
    group: ProcessGroup, tmp_path: Path, number: signal.Signals
) -> None:
    start(group, tmp_path, f"import os; os.kill(os.getpid(), {number.value})")
    reason = exit_reason(group)
    assert f"was killed by signal {number.value} ({signal.strsignal(number)})" in reason
    assert "server.log" in reason
    assert OLD_LINE not in reason


def test_the_reason_of_a_failed_process_is_the_last_line_of_its_log(
    group: ProcessGroup, tmp_path: Path
) -> None:
    start(group, tmp_path, "raise OSError('no space left')")
    assert "exited with code 1: OSError: no space left" in exit_reason(group)


def test_the_reason_of_an_exit_with_code_0_is_no_line_of_the_log(group: ProcessGroup, tmp_path: Path) -> None:
    start(group, tmp_path, "")
    reason = exit_reason(group)
    assert "exited with code 0, as after a request to stop" in reason
    assert OLD_LINE not in reason


def test_a_log_is_private_even_if_an_older_one_was_not(group: ProcessGroup, tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.touch(mode=0o644)
    start(group, tmp_path, "")
    assert log.stat().st_mode & 0o777 == 0o600


LOCALHOST = sorted({(family, address[0]) for family, _, _, _, address in socket.getaddrinfo("localhost", 80)})


@pytest.mark.parametrize(("family", "address"), LOCALHOST)
def test_a_port_on_which_any_address_of_localhost_listens_is_in_use(
    family: socket.AddressFamily, address: str
) -> None:
    with socket.create_server((address, 0), family=family) as server:
        port = server.getsockname()[1]
        with pytest.raises(StackError, match=f"Port {port} is in use: .* `PORT=… make run`"):
            require_free_port(port, "PORT")


def test_a_free_port_is_not_in_use() -> None:
    require_free_port(free_port(), "PORT")
