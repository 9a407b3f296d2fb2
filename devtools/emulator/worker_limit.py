"""A cap on the worker processes of a function.

AWS runs concurrent invocations of a function in as many environments as the account allows. The emulator
starts a process for each, which takes gigabytes in a burst. This module lets invocations over the cap wait
for a worker, first come, first served: LAMBDA_WORKERS for each function, 4 by default. A function that
invokes itself more deeply than that waits for itself, until it times out.

AWS has no such wait. Therefore

- it does not count into the function's Timeout, nor into the TimeoutSeconds of a state and a state machine.
  Neither does the start of a worker, which takes a fraction of a second on an idle machine, as on Lambda, but
  many seconds where a burst starts all of them at once on a few cores;
- an invocation that waits is one of the account's concurrent ones (LAMBDA_ACCOUNT_CONCURRENCY): above these
  the next is throttled, as on AWS;
- an invocation that Step Functions gave up before it had a worker never runs. One that runs goes on, as on
  AWS;
- a function has at least as many workers as the MaximumConcurrency of all its SQS event source mappings, and
  a mapping takes no more batches from its queue at a time than the function has workers.
"""

import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from threading import Event, Lock
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from devtools.emulator import guard
from devtools.emulator.timer import Timer

Json = dict[str, Any]


def install() -> None:
    """Extend the emulator."""
    limit = WorkerLimit(_workers())
    guard.wrap(lambda_svc, "_execute_function_warm", limit.execute)
    guard.wrap(lambda_runtime.Worker, "_spawn", start_worker)
    guard.wrap(lambda_svc, "_sqs_esm_concurrency", limit.batches)


def _workers() -> int:
    workers = int(os.environ.get("LAMBDA_WORKERS", "4"))
    if workers < 1:
        raise ValueError(f"LAMBDA_WORKERS must be at least 1, not {workers}")
    return workers


# --- The calls of states ---


class GivenUpError(Exception):
    """A call was given up before there was a worker for it."""


class Call:
    """The invocation of a function by a state, which may be given up."""

    def __init__(self, *timers: Timer) -> None:
        """The timers do not run while the call waits for a worker."""
        self._timers = timers
        self._is_given_up = False

    def give_up(self) -> None:
        """Never begin it; no effect when it has begun."""
        self._is_given_up = True

    def begin(self) -> None:
        """Raises GivenUpError when it was given up before."""
        if self._is_given_up:
            raise GivenUpError

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Let the timers stand still for as long as the block runs."""
        with ExitStack() as stack:
            for timer in self._timers:
                stack.enter_context(timer.paused())
            yield


_call: ContextVar[Call | None] = ContextVar("call", default=None)
_begun: ContextVar[Call] = ContextVar("begun", default=Call())  # noqa: B039 (a call without timers never changes)


@contextmanager
def invoking_for(call: Call | None) -> Iterator[None]:
    """The function that the block invokes, if any, is invoked for the call."""
    token = _call.set(call)
    try:
        yield
    finally:
        _call.reset(token)


# --- The workers ---


class WorkerLimit:
    """How many workers each function may have."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._lock = Lock()
        self._slots: defaultdict[str, _Slots] = defaultdict(_Slots)

    def execute(self, original: Callable[..., Any], func: Json, event: Any, request_id: str) -> Any:
        """Run an invocation as soon as there is a worker for it."""
        name: str = (func.get("config") or func)["FunctionName"]
        # It is for this invocation, and not for those that come of it.
        call = _call.get() or Call()
        _call.set(None)
        with self._lock:
            slots = self._slots[name]
        with call.waiting():
            slots.acquire(self._limit(name))
        try:
            call.begin()
            _begun.set(call)
            return original(func, event, request_id)
        finally:
            slots.release()

    def batches(
        self, original: Callable[..., int], esm: Json, func_rec: Json, config: Json, queue: Json | None = None
    ) -> int:
        """How many batches of an SQS event source mapping may be under way."""
        return min(original(esm, func_rec, config, queue), self._limit(esm["FunctionName"]))

    def _limit(self, function: str) -> int:
        mappings = (esm for _account, _region, esm in lambda_svc._iter_all_esms())
        asked = [_maximum_concurrency(esm) for esm in mappings if esm["FunctionName"] == function]
        return max(self._workers, sum(asked))


def start_worker(original: Callable[[Any], None], self: Any) -> None:
    """Start a worker, for which the call that has just begun waits."""
    with _begun.get().waiting():
        original(self)


def _maximum_concurrency(esm: Json) -> int:
    """Zero when it has none."""
    found: int = (esm.get("ScalingConfig") or {}).get("MaximumConcurrency", 0)
    return found


class _Slots:
    """The workers of a function that may be busy at a time. They go to those who wait in their order."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._busy = 0
        self._waiting: deque[Event] = deque()

    def acquire(self, limit: int) -> None:
        with self._lock:
            if self._busy < limit and not self._waiting:
                self._busy += 1
                return
            turn = Event()
            self._waiting.append(turn)
        turn.wait()

    def release(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._busy -= 1
