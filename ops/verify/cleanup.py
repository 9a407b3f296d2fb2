"""Removes the temporary resources of the check at its end, whatever happens."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from ops.verify.check_result import CheckError


class Cleanup:
    """The removals, by the resource's name.

    Add a removal before you create the resource. A removal must do nothing if the resource does not exist.
    """

    def __init__(self) -> None:
        self._removals: dict[str, Callable[[], None]] = {}

    def add(self, name: str, remove: Callable[[], None]) -> None:
        """Remove the resource at the end."""
        self._removals[name] = remove

    def run(self) -> list[str]:
        """Remove all resources, the newest first; return those that could not be removed, with the reason."""
        failures = []
        with _ignored_signals():
            while self._removals:
                name, remove = self._removals.popitem()
                try:
                    remove()
                except (BotoCoreError, ClientError, CheckError) as error:
                    failures.append(f"{name} ({error})")
        return failures


@contextmanager
def _ignored_signals() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM."""
    previous = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
