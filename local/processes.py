"""The processes of a stack: start and stop them together, and find those that are still running."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import httpx
import psutil

from local.private_files import open_private
from local.settings import HOST, StackError

_GRACE_SECONDS = 10
_INTERVAL_GROWTH = 1.3
_MAX_INTERVAL_SECONDS = 0.5


class ProcessGroup:
    """The processes of one stack, which `processes.json` in the stack's folder lists for `make stop`.

    Each process leads its own session, so that Ctrl-C reaches only the process that owns the group.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, module: str, *arguments: str, environment: Mapping[str, str]) -> None:
        """Start `python -m module arguments…`; its output goes to `<name>.log`."""
        with open_private(self._log(name)) as log:
            self._children[name] = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        record_process(self._folder, self._children[name].pid)

    def wait_until_healthy(self, name: str, url: str, seconds: float = 30) -> None:
        """Wait until a process answers its health URL with 200.

        Raises:
            StackError: a process has exited, or this one did not become healthy in time.
        """

        def healthy() -> bool:
            self.check()
            try:
                return http.get(url).status_code == 200
            except httpx.TransportError:
                return False

        # One client for all requests: a new one reads all certificates first, even for plain HTTP.
        with httpx.Client(timeout=2, trust_env=False) as http:
            if not wait_for(healthy, seconds):
                log = self._log(name)
                raise StackError(f"The {name} did not become healthy in {seconds:.0f} s: see {log}.")

    def check(self) -> None:
        """Check that every process is running.

        Raises:
            StackError: a process has exited.
        """
        for name, child in self._children.items():
            if child.poll() is not None:
                raise StackError(f"The {name} {_exit_reason(child.returncode, self._log(name))}")

    def stop(self) -> None:
        """Stop every process and its descendants, in reverse order of their start."""
        for child in reversed(self._children.values()):
            terminate([psutil.Process(child.pid)] if child.poll() is None else [])
            child.wait()
        self._children.clear()

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


def _exit_reason(code: int, log: Path) -> str:
    """Why a server exited. The last line of its log is the reason only if the server itself failed."""
    if code < 0:
        return f"was killed by signal {-code} ({signal.strsignal(-code)}). Its log is {log}."
    if code == 0:
        return f"exited with code 0, as after a request to stop. Its log is {log}."
    return f"exited with code {code}: {_last(_lines(log))} (see {log})"


def last_error(log: Path) -> str:
    """The last line of a failed command's log that mentions an error, or else its last line."""
    lines = _lines(log)
    errors = [line for line in lines if "error" in line.lower()]
    return f"{_last(errors or lines)} (see {log})"


def _lines(log: Path) -> list[str]:
    return [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]


def _last(lines: Sequence[str]) -> str:
    return lines[-1] if lines else "no output"


def run_command(
    command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], output: BinaryIO
) -> int:
    """Run a command and return its exit code; on an exception, such as Ctrl-C, terminate it."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        return process.wait()
    except BaseException:
        terminate([psutil.Process(process.pid)])
        process.wait()
        raise


def record_process(folder: Path, pid: int) -> None:
    """Add a process to processes.json, with its start time, because process ids are reused."""
    path = folder / "processes.json"
    recorded = json.loads(path.read_text()) if path.exists() else {}
    recorded[str(pid)] = psutil.Process(pid).create_time()
    path.write_text(json.dumps(recorded))


def running_processes(folder: Path) -> list[psutil.Process]:
    """The recorded processes that are still running."""
    path = folder / "processes.json"
    if not path.exists():
        return []
    recorded = json.loads(path.read_text())
    return [process for pid, started in recorded.items() if (process := _find(int(pid), started))]


def _find(pid: int, started: float) -> psutil.Process | None:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if process.create_time() == started and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def terminate(processes: Sequence[psutil.Process]) -> None:
    """Terminate processes and their descendants, and kill those that do not exit in time."""
    family = [*processes]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            family += process.children(recursive=True)
            process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=_GRACE_SECONDS)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=_GRACE_SECONDS)


def wait_for(condition: Callable[[], bool], seconds: float, interval: float = 0.05) -> bool:
    """Wait until the condition is true; return False if it is not within so many seconds.

    The interval between two checks grows: a check, such as a request, slows down what it waits for.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
        interval = min(interval * _INTERVAL_GROWTH, max(interval, _MAX_INTERVAL_SECONDS))
    return True


def require_free_port(port: int, variable: str) -> None:
    """Check that no process listens on the port, which the environment variable chooses.

    Raises:
        StackError: the port is in use.
    """
    if _is_listening(port) or not _can_bind(port):
        raise StackError(
            f"Port {port} is in use: stop the process that uses it (`make stop` for a local stack), "
            f"or choose another port with `{variable}=… make run`."
        )


def _is_listening(port: int) -> bool:
    """Whether any address of localhost accepts connections, also one that `_can_bind` does not try."""
    with suppress(OSError), socket.create_connection(("localhost", port), timeout=1):
        return True
    return False


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do: connections of a stopped stack in TIME_WAIT do not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that no process listens on right now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
