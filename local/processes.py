"""The processes of a stack: started together, ended together, and found again when one was left behind."""

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


class ProcessGroup:
    """The processes of one stack. Each leads a session of its own, so that Ctrl-C reaches the stack alone.

    `processes.json` in the stack's folder lists them, for `make stop`.
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
        register(self._folder, self._children[name].pid)

    def wait_until_healthy(self, name: str, url: str, seconds: float = 30) -> None:
        """Wait until the process answers its health URL with 200.

        Raises:
            StackError: it ended, or did not answer in time.
        """

        def healthy() -> bool:
            self.check()
            try:
                return httpx.get(url, timeout=2, trust_env=False).status_code == 200
            except httpx.TransportError:
                return False

        if not wait_for(healthy, seconds):
            raise StackError(f"The {name} did not become healthy in {seconds:.0f} s: see {self._log(name)}.")

    def check(self) -> None:
        """Make sure that every process is alive.

        Raises:
            StackError: one has ended by itself.
        """
        for name, child in self._children.items():
            if child.poll() is not None:
                raise StackError(f"The {name} {_how_it_ended(child.returncode, self._log(name))}")

    def stop(self) -> None:
        """End every process, the last started first, and what they started."""
        for child in reversed(self._children.values()):
            end([psutil.Process(child.pid)] if child.poll() is None else [])
            child.wait()
        self._children.clear()

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


def _how_it_ended(code: int, log: Path) -> str:
    """What ended a server. Only an exit code of its own has to do with what its log says last."""
    if code < 0:
        return f"was ended by signal {-code} ({signal.strsignal(-code)}). Its log is {log}."
    if code == 0:
        return f"stopped as if it had been asked to. Its log is {log}."
    return f"ended with code {code}: {(_lines(log) or ['it said nothing'])[-1]} (all of it in {log})"


def error_of(log: Path) -> str:
    """What a failed command gave as its error, else what it said last, and where the rest is."""
    lines = _lines(log)
    errors = [line for line in lines if "error" in line.lower()]
    return f"{(errors or lines or ['it said nothing'])[-1]} (all of it in {log})"


def _lines(log: Path) -> list[str]:
    return [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]


def run_to_end(command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], output: BinaryIO) -> int:
    """Run a command, with all that it starts, and return its exit code; end it when this is interrupted."""
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
        end([psutil.Process(process.pid)])
        process.wait()
        raise


def register(folder: Path, pid: int) -> None:
    """Note a process of the stack, with the time that it began: process ids are used again."""
    path = folder / "processes.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    known[str(pid)] = psutil.Process(pid).create_time()
    path.write_text(json.dumps(known))


def registered(folder: Path) -> list[psutil.Process]:
    """The noted processes that still run."""
    path = folder / "processes.json"
    if not path.exists():
        return []
    return [
        process for pid, began in json.loads(path.read_text()).items() if (process := _same(int(pid), began))
    ]


def _same(pid: int, began: float) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        return (
            process if process.create_time() == began and process.status() != psutil.STATUS_ZOMBIE else None
        )
    except psutil.NoSuchProcess:
        return None


def end(processes: Sequence[psutil.Process]) -> None:
    """End processes and their descendants: asked first, forced when they do not go."""
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


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true before the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def require_free(port: int, variable: str) -> None:
    """Make sure that nobody listens on the port.

    Raises:
        StackError: somebody does.
    """
    with socket.socket() as probe:
        # As the servers do: a connection that a stopped stack left in TIME_WAIT does not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise StackError(
                f"Port {port} is taken: end what uses it (`make stop` if it is an earlier stack), "
                f"or choose another with `{variable}=… make run`."
            ) from None


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
