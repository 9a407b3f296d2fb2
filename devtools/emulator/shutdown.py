"""SIGTERM and SIGINT stop the emulator and its workers at once.

The emulator waits for running invocations, up to a function's whole timeout, and does not stop its worker
processes. This module stops the workers first: running invocations fail with `Runtime.ExitError`, and no new
ones are started.
"""

import asyncio
import signal
from collections.abc import Callable
from functools import partial
from threading import Event
from typing import Any

import hypercorn.asyncio
from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from devtools.emulator import patch


def install() -> None:
    """Extend the emulator."""
    stopping = Event()
    patch.wrap(lambda_svc, "_execute_function_warm", partial(_execute, stopping))
    patch.wrap(hypercorn.asyncio, "serve", partial(_serve, stopping))


def _execute(stopping: Event, original: Callable[..., Any], func: Any, event: Any, request_id: str) -> Any:
    if stopping.is_set():
        error = {"errorType": "Runtime.ExitError", "errorMessage": "The emulator is stopping"}
        return {"body": error, "error": True, "log": ""}
    return original(func, event, request_id)


async def _serve(stopping: Event, original: Callable[..., Any], app: Any, config: Any) -> None:
    signal_received = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, signal_received.set)

    async def trigger() -> None:
        await signal_received.wait()
        stopping.set()
        await asyncio.to_thread(lambda_runtime.reset)

    try:
        await original(app, config, shutdown_trigger=trigger)
    finally:
        # Again, because a worker may have started while the others were stopped.
        lambda_runtime.reset()
