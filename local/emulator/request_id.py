"""One request id for one API request.

AWS gives a request to a REST API one id: it is `$context.requestId` in every template, `requestContext.
requestId` in a Lambda's event, and the answer's `x-amzn-RequestId` header. The emulator draws a new id for
each of them and leaves the header out. This module hands the id of the request to all three.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ministack.services import apigateway_v1

from local.emulator import guard

HEADER = "x-amzn-requestid"

_request_id: ContextVar[str] = ContextVar("request_id")


def install() -> None:
    """Extend the emulator."""
    guard.wrap(apigateway_v1, "_execute_in_scope", _execute_in_scope)
    guard.wrap(apigateway_v1, "_build_lambda_event_v1", _build_lambda_event)


async def _execute_in_scope(
    original: Callable[..., Any], request: dict[str, Any], *args: Any, **kwargs: Any
) -> Any:
    token = _request_id.set(request["request_id"])
    try:
        answer = await original(request, *args, **kwargs)
    finally:
        _request_id.reset(token)
    if isinstance(answer, apigateway_v1._GatewayError):
        return answer  # rendered later, with this header
    status, headers, body = answer
    return status, {**headers, HEADER: request["request_id"]}, body


def _build_lambda_event(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    event = original(*args, **kwargs)
    event["requestContext"]["requestId"] = _request_id.get()
    return event
