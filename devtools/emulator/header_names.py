"""Header names as the client spelled them.

A regional REST API hands header names on as they were sent: `$input.params('Idempotency-Key')` does not find
`idempotency-key`, which is how HTTP/2 clients send it, and a Lambda's event has the names of the request. The
emulator knows them in lower case only.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from hypercorn.config import Config
from ministack import app
from ministack.services import apigateway_v1

from devtools.emulator import guard

# Lower case → as it was sent.
_names: ContextVar[dict[str, str]] = ContextVar("names")


def install() -> None:
    """Extend the emulator."""
    guard.replace(Config, "h11_pass_raw_headers", True)
    guard.replace(app, "app", _Application(app.app))
    guard.wrap(apigateway_v1, "_build_lambda_event_v1", _build_lambda_event)


class _Application:
    """The emulator, which gets lower-case names, as ASGI has them."""

    def __init__(self, emulator: Callable[..., Any]) -> None:
        self._emulator = emulator

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = scope.get("headers", [])
        _names.set({name.lower().decode("latin-1"): name.decode("latin-1") for name, _ in headers})
        lower = [(name.lower(), value) for name, value in headers]
        await self._emulator({**scope, "headers": lower}, receive, send)


def _build_lambda_event(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    event = original(*args, **kwargs)
    names = _names.get()
    for key in ("headers", "multiValueHeaders"):
        event[key] = {names.get(name, name): value for name, value in event[key].items()}
    return event
