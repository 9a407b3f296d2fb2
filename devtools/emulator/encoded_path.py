"""The path of a request to a REST API, as the client encoded it.

API Gateway splits the path as it was sent and decodes each part for the path parameters, so that an encoded
slash belongs to a parameter; a Lambda's event has the path as it was sent. The emulator decodes the path
first: `GET /tickets/%2F` was `GET /tickets`.

AWS: "REST APIs decode URL-encoded request parameters before passing them to backend integrations" (Amazon API
Gateway important notes).
"""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote

from ministack import app
from ministack.services import apigateway_v1

from devtools.emulator import guard

_path: ContextVar[str | None] = ContextVar("encoded_path", default=None)


def install() -> None:
    """Extend the emulator."""
    guard.wrap(app, "_handle_execute_api_request", _handle_execute_api_request)
    guard.wrap(apigateway_v1, "_match_resource_tree", _match)
    guard.wrap(apigateway_v1, "_match_greedy_fallback", _match)
    guard.wrap(apigateway_v1, "_build_lambda_event_v1", _build_lambda_event)


async def _handle_execute_api_request(
    original: Callable[..., Any],
    host: str,
    path: str,
    *args: Any,
    raw_path: str | None = None,
    **options: Any,
) -> Any:
    parsed = app._parse_execute_api_url(host, raw_path or path)
    token = _path.set(parsed and parsed[2])
    try:
        return await original(host, path, *args, raw_path=raw_path, **options)
    finally:
        _path.reset(token)


def _match(original: Callable[..., Any], api_id: str, segments: Sequence[str], *args: Any) -> Any:
    path = _path.get()
    if path is not None:
        segments = [unquote(segment) for segment in path.split("/") if segment]
    return original(api_id, segments, *args)


def _build_lambda_event(original: Callable[..., Any], *args: Any, **options: Any) -> Any:
    event = original(*args, **options)
    return {**event, "path": _path.get() or event["path"]}
