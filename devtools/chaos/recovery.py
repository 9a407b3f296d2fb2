"""After the storm: what heals by itself, and what the schedule and an operator do about the rest."""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from devtools.chaos.pipeline import Pipeline
from devtools.chaos.verdict import errors
from devtools.load.pipeline import is_final
from local.processes import wait_for
from local.run import say

_ROUNDS = 4
_SWEEPS = 5
# The waiting room's consumer speeds up only slowly after a storm.
_SETTLE_SECONDS = 600


@dataclass
class Recovery:
    """Waits until the waiting room is empty; then sweeps, replays and recovers.

    `restarts` holds the tickets that each of them started again, and `failed` those that were FAILED when the
    waiting room was empty, with their errors.
    """

    pipeline: Pipeline
    accepted: Collection[str]
    restarts: dict[str, set[str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def run(self, deadline: float) -> float:
        """Go on until all accepted tickets are final, or for `deadline` seconds; return how long it took."""
        began = time.monotonic()
        self._heal()
        for _ in range(_ROUNDS):
            # In this order: what the schedule's next sweep mends is nothing for an operator to replay.
            for step in (self._sweep, self._replay, self._recover):
                if not self._owing() or time.monotonic() - began > deadline:
                    return time.monotonic() - began
                step()
        return time.monotonic() - began

    def _heal(self) -> None:
        self._settle()
        deferred = {*self.pipeline.restarts().values()}
        self.restarts["waiting room"] = deferred
        self.failed = errors(self.pipeline.tickets())
        say(
            f"  by themselves: {len(deferred)} came out of the waiting room, {len(self.failed)} failed, "
            f"{len(self._owing())} still owe something"
        )

    def _owing(self) -> list[str]:
        stored = self.pipeline.tickets()
        return [ticket_id for ticket_id in self.accepted if not is_final(stored.get(ticket_id))]

    def _settle(self) -> None:
        wait_for(self.pipeline.is_idle, _SETTLE_SECONDS)

    def _sweep(self) -> None:
        with self._noted("sweep"):
            for _ in range(_SWEEPS):
                self.pipeline.age_whatever_is_pending()
                outcome = self.pipeline.sweep()
                self._settle()
                if not any(outcome.values()):
                    return

    def _replay(self) -> None:
        self._operate("replay")

    def _recover(self) -> None:
        self._operate("recover")

    def _operate(self, command: str) -> None:
        with self._noted(command):
            code, words = self.pipeline.operate(command)
            if code:
                say(f"ops {command} ended with {code}:\n{words}")
            self._settle()

    @contextmanager
    def _noted(self, step: str) -> Iterator[None]:
        before = self.pipeline.restarts()
        yield
        after = self.pipeline.restarts()
        restarted = {ticket_id for name, ticket_id in after.items() if name not in before}
        self.restarts.setdefault(step, set()).update(restarted)
        say(f"  {step}: {len(restarted)} started again, {len(self._owing())} still owe something")
