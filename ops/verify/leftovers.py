"""What the check makes for itself, and removes at its end, whatever happens."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from ops.verify.finding import CheckError


class Leftovers:
    """Removals by name. Each is added before its thing is made, and does nothing when that is not there."""

    def __init__(self) -> None:
        self._removals: dict[str, Callable[[], None]] = {}

    def add(self, name: str, remove: Callable[[], None]) -> None:
        """Remove it at the end."""
        self._removals[name] = remove

    def remove(self) -> list[str]:
        """Remove everything, the newest first; what could not be removed, and why."""
        left = []
        with _undisturbed():
            while self._removals:
                name, remove = self._removals.popitem()
                try:
                    remove()
                except (BotoCoreError, ClientError, CheckError) as error:
                    left.append(f"{name} ({error})")
        return left


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Nothing cuts it short."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
