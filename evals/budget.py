"""The spending cap: no call starts whose worst case could exceed it."""

import threading


class CapReached(Exception):
    """The next call could exceed the cap."""


class Budget:
    """Counts what the calls cost, in USD. Several threads may use it."""

    def __init__(self, max_usd: float) -> None:
        self.max_usd = max_usd
        self._lock = threading.Lock()
        self._spent = 0.0
        self._reserved = 0.0

    @property
    def spent(self) -> float:
        """What all settled calls cost."""
        return self._spent

    def reserve(self, worst_case: float) -> None:
        """Reserve the worst case of a call before it starts. Raises CapReached."""
        with self._lock:
            if self._spent + self._reserved + worst_case > self.max_usd:
                raise CapReached
            self._reserved += worst_case

    def settle(self, worst_case: float, cost: float) -> None:
        """Replace a reservation by what the call cost."""
        with self._lock:
            self._reserved -= worst_case
            self._spent += cost
