"""A limit on the worker processes of each function.

AWS runs concurrent invocations of a function in as many execution environments as the account allows. The
emulator starts a process for each, which needs gigabytes of memory in a burst. Here a function has at most
LAMBDA_WORKERS workers, 4 by default; further invocations wait for a worker, in the order of their arrival. A
function that invokes itself recursively, deeper than the limit, waits until it times out.

AWS has no such wait. Therefore

- the wait does not count towards the function's Timeout, nor towards the TimeoutSeconds of states and state
  machines. Neither does the start of a worker, which takes a fraction of a second on an idle machine, as on
  Lambda, but many seconds when a burst starts all workers at once on a few cores;
- an invocation that waits counts towards the account's concurrency (LAMBDA_ACCOUNT_CONCURRENCY): invocations
  above that are throttled, as on AWS;
- an invocation whose state times out before it gets a worker never runs. One that is running continues, as on
  AWS;
- a function has at least as many workers as the sum of the MaximumConcurrency of its SQS event source
  mappings, and a mapping processes no more batches at a time than the function has workers.

Sources: Lambda developer guide, "Understanding Lambda function scaling"; Lambda API reference, ScalingConfig.
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

from devtools.emulator import patch
from devtools.emulator.timer import Timer

Json = dict[str, Any]


def install() -> None:
    """Extend the emulator."""
    limit = WorkerLimit(_workers())
    patch.wrap(lambda_svc, "_execute_function_warm", limit.execute)
    patch.wrap(lambda_runtime.Worker, "_spawn", start_worker)
    patch.wrap(lambda_svc, "_sqs_esm_concurrency", limit.batch_concurrency)


def _workers() -> int:
    workers = int(os.environ.get("LAMBDA_WORKERS", "4"))
    if workers < 1:
        raise ValueError(f"LAMBDA_WORKERS must be at least 1, not {workers}")
    return workers


# --- Invocations by states ---


class InvocationCancelledError(Exception):
    """An invocation was cancelled before it got a worker."""


class StateInvocation:
    """The invocation of a function by a state. It can be cancelled until it gets a worker."""

    def __init__(self, *timers: Timer) -> None:
        """The timers are paused while the invocation waits for a worker."""
        self._timers = timers
        self._is_cancelled = False

    def cancel(self) -> None:
        """Keep it from starting; has no effect after it has started."""
        self._is_cancelled = True

    def check(self) -> None:
        """Raise InvocationCancelledError if it was cancelled."""
        if self._is_cancelled:
            raise InvocationCancelledError

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pause the timers while the block runs."""
        with ExitStack() as stack:
            for timer in self._timers:
                stack.enter_context(timer.paused())
            yield


_requested: ContextVar[StateInvocation | None] = ContextVar("requested", default=None)
# An invocation without timers is immutable.
_started: ContextVar[StateInvocation] = ContextVar("started", default=StateInvocation())  # noqa: B039


@contextmanager
def invoking(invocation: StateInvocation | None) -> Iterator[None]:
    """The function that is invoked in the block, if any, is invoked for this state invocation."""
    token = _requested.set(invocation)
    try:
        yield
    finally:
        _requested.reset(token)


# --- Workers ---


class WorkerLimit:
    """Limits the workers of each function."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._lock = Lock()
        self._slots: defaultdict[str, _Slots] = defaultdict(_Slots)

    def execute(self, original: Callable[..., Any], func: Json, event: Any, request_id: str) -> Any:
        """Run an invocation as soon as a worker is available."""
        name: str = (func.get("config") or func)["FunctionName"]
        # It belongs to this invocation only, not to those that this invocation causes.
        invocation = _requested.get() or StateInvocation()
        _requested.set(None)
        with self._lock:
            slots = self._slots[name]
        with invocation.paused():
            slots.acquire(self._limit(name))
        try:
            invocation.check()
            _started.set(invocation)
            return original(func, event, request_id)
        finally:
            slots.release()

    def batch_concurrency(
        self, original: Callable[..., int], esm: Json, func_rec: Json, config: Json, queue: Json | None = None
    ) -> int:
        """How many batches of an SQS event source mapping may be processed at a time."""
        return min(original(esm, func_rec, config, queue), self._limit(esm["FunctionName"]))

    def _limit(self, function: str) -> int:
        mappings = (esm for _account, _region, esm in lambda_svc._iter_all_esms())
        requested = (_maximum_concurrency(esm) for esm in mappings if esm["FunctionName"] == function)
        return max(self._workers, sum(requested))


def start_worker(original: Callable[[Any], None], self: Any) -> None:
    """Start a worker; the timers of the invocation that waits for it are paused."""
    with _started.get().paused():
        original(self)


def _maximum_concurrency(esm: Json) -> int:
    """The mapping's MaximumConcurrency; 0 if it has none."""
    concurrency: int = (esm.get("ScalingConfig") or {}).get("MaximumConcurrency", 0)
    return concurrency


class _Slots:
    """A first-in, first-out semaphore for the workers of a function; its limit may change between calls."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._busy = 0
        self._waiting: deque[Event] = deque()

    def acquire(self, limit: int) -> None:
        with self._lock:
            if self._busy < limit and not self._waiting:
                self._busy += 1
                return
            available = Event()
            self._waiting.append(available)
        available.wait()

    def release(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._busy -= 1
