"""SIGTERM and SIGINT end the emulator at once, with its workers.

The emulator waits for the invocations that are under way, up to a function's whole time-out, and leaves the
worker processes to find out for themselves that it is gone. This module ends the workers first: what is under
way fails as `Runtime.ExitError`, and nothing is started any more.
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

from devtools.emulator import guard


def install() -> None:
    """Extend the emulator."""
    stopping = Event()
    guard.wrap(lambda_svc, "_execute_function_warm", partial(_execute, stopping))
    guard.wrap(hypercorn.asyncio, "serve", partial(_serve, stopping))


def _execute(stopping: Event, original: Callable[..., Any], func: Any, event: Any, request_id: str) -> Any:
    if stopping.is_set():
        error = {"errorType": "Runtime.ExitError", "errorMessage": "The emulator is stopping"}
        return {"body": error, "error": True, "log": ""}
    return original(func, event, request_id)


async def _serve(stopping: Event, original: Callable[..., Any], app: Any, config: Any) -> None:
    signalled = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, signalled.set)

    async def trigger() -> None:
        await signalled.wait()
        stopping.set()
        await asyncio.to_thread(lambda_runtime.reset)

    try:
        await original(app, config, shutdown_trigger=trigger)
    finally:
        # Once more, for a worker that was being started when the first were ended.
        lambda_runtime.reset()
