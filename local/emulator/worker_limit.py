"""A cap on the worker processes of a function.

AWS runs concurrent invocations of a function in as many environments as the account allows. The emulator
starts a process for each, which takes gigabytes in a burst. This module lets invocations over the cap wait
for a worker: LAMBDA_WORKERS for each function, 4 by default. A function that invokes itself more deeply than
that waits for itself, until it times out.
"""

import os
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from threading import BoundedSemaphore, Lock
from typing import Any

from ministack.services import lambda_svc

from local.emulator import guard


def install() -> None:
    """Extend the emulator."""
    guard.wrap(lambda_svc, "_execute_function_warm", partial(_execute, _Slots(_limit())))


def _limit() -> int:
    limit = int(os.environ.get("LAMBDA_WORKERS", "4"))
    if limit < 1:
        raise ValueError(f"LAMBDA_WORKERS must be at least 1, not {limit}")
    return limit


class _Slots:
    """A semaphore for each function."""

    def __init__(self, limit: int) -> None:
        self._lock = Lock()
        self._semaphores: defaultdict[str, BoundedSemaphore] = defaultdict(lambda: BoundedSemaphore(limit))

    def of(self, function: str) -> BoundedSemaphore:
        with self._lock:
            return self._semaphores[function]


def _execute(slots: _Slots, original: Callable[..., Any], func: Any, event: Any, request_id: str) -> Any:
    config = func.get("config") or func
    with slots.of(config["FunctionName"]):
        return original(func, event, request_id)
