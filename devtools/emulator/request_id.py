"""The two ids of one API request.

AWS gives a request to a REST API two ids. `$context.requestId` is the client's `x-amzn-RequestId` header when
it sends one. AWS's page on access logging says so of a UUID, and not what a mapping template sees of another
value; here any value is taken over. `$context.extendedRequestId` is API Gateway's own, and no client can
choose it. Both are the same in every template and in a Lambda's `requestContext`, and the answer has them as
`x-amzn-RequestId` and `x-amz-apigw-id`. The emulator draws a new id for each of them and leaves the headers
out.
"""

import base64
import os
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ministack.services import apigateway_v1

from devtools.emulator import guard

Json = dict[str, Any]

HEADER = "x-amzn-requestid"
EXTENDED_HEADER = "x-amz-apigw-id"

_EXTENDED = "extended_request_id"
_LENGTH = 11  # bytes, which is as long as AWS's

_request: ContextVar[Json] = ContextVar("request")


def install() -> None:
    """Extend the emulator."""
    guard.wrap(apigateway_v1, "_execute_in_scope", _execute_in_scope)
    guard.wrap(apigateway_v1, "_build_lambda_event_v1", _build_lambda_event)
    guard.wrap(apigateway_v1, "_gateway_error_response", _gateway_error_response)


async def _execute_in_scope(original: Callable[..., Any], request: Json, *args: Any, **kwargs: Any) -> Any:
    _identify(request)
    token = _request.set(request)
    try:
        answer = await original(request, *args, **kwargs)
    finally:
        _request.reset(token)
    if isinstance(answer, apigateway_v1._GatewayError):
        return answer  # rendered later, with these headers
    status, headers, body = answer
    return status, headers | _headers(request), body


def _gateway_error_response(original: Callable[..., Any], error: Any, request: Json) -> Any:
    _identify(request)  # a request with a bad signature is refused before it is executed
    status, headers, body = original(error, request)
    return status, headers | _headers(request), body


def _identify(request: Json) -> None:
    """Give a request its ids, once."""
    if _EXTENDED not in request:
        request["request_id"] = request["headers"].get(HEADER) or request["request_id"]
        request[_EXTENDED] = base64.b64encode(os.urandom(_LENGTH)).decode()


def _headers(request: Json) -> dict[str, str]:
    return {HEADER: request["request_id"], EXTENDED_HEADER: request[_EXTENDED]}


def _build_lambda_event(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    event = original(*args, **kwargs)
    request = _request.get()
    event["requestContext"] |= {
        "requestId": request["request_id"],
        "extendedRequestId": request[_EXTENDED],
    }
    return event
