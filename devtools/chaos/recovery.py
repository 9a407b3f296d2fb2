"""After the faults: the recovery by the pipeline itself, by the schedule and by an operator."""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from devtools.chaos.pipeline import ChaosPipeline
from devtools.chaos.report import failure_errors
from devtools.load.pipeline import is_notified
from local.console import echo
from local.processes import wait_for

_ROUNDS = 4
_SWEEPS = 5
# After many failures, the waiting room's consumer speeds up only slowly.
_IDLE_SECONDS = 600


@dataclass
class Recovery:
    """Waits until the waiting room is empty; then sweeps, replays and recovers."""

    pipeline: ChaosPipeline
    accepted: Collection[str]
    restarts: dict[str, set[str]] = field(default_factory=dict)
    """The tickets that each step restarted."""
    failed: dict[str, str] = field(default_factory=dict)
    """The error of each ticket that was FAILED when the waiting room was empty."""

    def run(self, deadline: float) -> float:
        """Recover until all accepted tickets are notified, or for `deadline` seconds; return the seconds."""
        started = time.monotonic()
        self._empty_waiting_room()
        for _ in range(_ROUNDS):
            # In this order: an operator replays only what the next sweep would not restart.
            for step in (self._sweep, self._replay, self._recover):
                if not self._unfinished() or time.monotonic() - started > deadline:
                    return time.monotonic() - started
                step()
        return time.monotonic() - started

    def _empty_waiting_room(self) -> None:
        self._wait_until_idle()
        deferred = {*self.pipeline.restarts().values()}
        self.restarts["waiting room"] = deferred
        self.failed = failure_errors(self.pipeline.tickets())
        echo(
            f"  waiting room: {len(deferred)} restarted, {len(self.failed)} failed, "
            f"{len(self._unfinished())} unfinished"
        )

    def _unfinished(self) -> list[str]:
        stored = self.pipeline.tickets()
        return [ticket_id for ticket_id in self.accepted if not is_notified(stored.get(ticket_id))]

    def _wait_until_idle(self) -> None:
        wait_for(self.pipeline.is_idle, _IDLE_SECONDS)

    def _sweep(self) -> None:
        with self._counted("sweep"):
            for _ in range(_SWEEPS):
                self.pipeline.age_pending_tickets()
                outcomes = self.pipeline.sweep()
                self._wait_until_idle()
                if not any(outcomes.values()):
                    return

    def _replay(self) -> None:
        self._run_operator_command("replay")

    def _recover(self) -> None:
        self._run_operator_command("recover")

    def _run_operator_command(self, command: str) -> None:
        with self._counted(command):
            code, output = self.pipeline.run_operator_command(command)
            if code:
                echo(f"ops {command} exited with code {code}:\n{output}")
            self._wait_until_idle()

    @contextmanager
    def _counted(self, step: str) -> Iterator[None]:
        """Record which tickets the block restarts, and print how many."""
        before = self.pipeline.restarts()
        yield
        after = self.pipeline.restarts()
        restarted = {ticket_id for name, ticket_id in after.items() if name not in before}
        self.restarts.setdefault(step, set()).update(restarted)
        echo(f"  {step}: {len(restarted)} restarted, {len(self._unfinished())} unfinished")
