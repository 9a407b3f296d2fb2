"""A REST API's request as the client sent it: the encoded path, and header names in their original case.

API Gateway splits the path before it decodes the parts for the path parameters, so that an encoded slash
belongs to a parameter; a Lambda event has the encoded path. The emulator decodes the path first: it takes
`GET /tickets/%2F` for `GET /tickets`.

A regional REST API keeps header names as the client sent them: `$input.params('Idempotency-Key')` does not
find `idempotency-key`, the form in which HTTP/2 clients send it, and a Lambda event has the names of the
request. The emulator keeps only lower-case names.

Source: API Gateway developer guide, "Amazon API Gateway important notes" ("REST APIs decode URL-encoded
request parameters before passing them to backend integrations").
"""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote

from hypercorn.config import Config
from ministack import app
from ministack.services import apigateway_v1

from devtools.emulator import patch

_encoded_path: ContextVar[str | None] = ContextVar("encoded_path", default=None)
# Lower-case name → name as it was sent.
_header_names: ContextVar[dict[str, str]] = ContextVar("header_names")


def install() -> None:
    """Extend the emulator."""
    patch.wrap(app, "_handle_execute_api_request", _handle_execute_api_request)
    patch.wrap(apigateway_v1, "_match_resource_tree", _match_resource)
    patch.wrap(apigateway_v1, "_match_greedy_fallback", _match_resource)
    patch.wrap(apigateway_v1, "_build_lambda_event_v1", _build_lambda_event)
    patch.replace(Config, "h11_pass_raw_headers", True)
    patch.replace(app, "app", _HeaderNames(app.app))


class _HeaderNames:
    """ASGI middleware that stores the header names, and passes them on in lower case as ASGI requires."""

    def __init__(self, emulator: Callable[..., Any]) -> None:
        self._emulator = emulator

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = scope.get("headers", [])
        _header_names.set({name.lower().decode("latin-1"): name.decode("latin-1") for name, _ in headers})
        lower = [(name.lower(), value) for name, value in headers]
        await self._emulator({**scope, "headers": lower}, receive, send)


async def _handle_execute_api_request(
    original: Callable[..., Any],
    host: str,
    path: str,
    *args: Any,
    raw_path: str | None = None,
    **options: Any,
) -> Any:
    parsed = app._parse_execute_api_url(host, raw_path or path)
    token = _encoded_path.set(parsed and parsed[2])
    try:
        return await original(host, path, *args, raw_path=raw_path, **options)
    finally:
        _encoded_path.reset(token)


def _match_resource(original: Callable[..., Any], api_id: str, segments: Sequence[str], *args: Any) -> Any:
    path = _encoded_path.get()
    if path is not None:
        segments = [unquote(segment) for segment in path.split("/") if segment]
    return original(api_id, segments, *args)


def _build_lambda_event(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    event = original(*args, **kwargs)
    names = _header_names.get()
    headers = {
        key: {names.get(name, name): value for name, value in event[key].items()}
        for key in ("headers", "multiValueHeaders")
    }
    return {**event, **headers, "path": _encoded_path.get() or event["path"]}
