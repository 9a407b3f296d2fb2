"""What a REST API answers by itself: always a gateway response, never the emulator's own words.

On AWS every refusal and every fault of the API goes through a gateway response, which gives it its status,
its headers and its body. The emulator lacks some of that; this module adds

- REQUEST_TOO_LARGE for a body of more than MAX_BODY bytes: the emulator takes any. AWS does not let an API
  customize this one ("Customizing the default gateway response for 413 REQUEST_TOO_LARGE isn't currently
  supported", Amazon API Gateway important notes);
- DEFAULT_4XX for a path or method that does not exist, when the request has an Authorization header: AWS
  takes the header for a signature, and `Bearer …` for an incomplete one. The emulator answers
  MISSING_AUTHENTICATION_TOKEN, as AWS does without the header;
- MISSING_AUTHENTICATION_TOKEN for methods that ANY does not stand for: the emulator takes them all;
- DEFAULT_5XX for a Lambda proxy that failed, was throttled or answered with something else than a proxy
  response (the emulator sends the Lambda error itself, and wraps other answers in a 200), and for a fault
  of the emulator (it sends the exception's text);
- templates of another content type than application/json, which then is the answer's Content-Type. The
  emulator renders those of application/json only. AWS chooses by the request's Accept among several; here
  the first one is taken. GetGatewayResponse shows it under application/json, too.

A Lambda proxy's fault has status 502 on AWS, unless DEFAULT_5XX says another; here it has the emulator's
500.
"""

import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from ministack import app
from ministack.core import sigv4
from ministack.services import apigateway_v1

from devtools.emulator import guard

Json = dict[str, Any]

MAX_BODY = 10 * 1024 * 1024

_JSON_TYPE = "application/json"
_ANY = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
_UNSIGNED = "MISSING_AUTHENTICATION_TOKEN"
_TOO_LARGE = "REQUEST_TOO_LARGE"
_FAULT = "Internal server error"

_content_type: ContextVar[str] = ContextVar("content_type", default=_JSON_TYPE)

logger = logging.getLogger(__name__)


class _ProxyFailedError(Exception):
    """A Lambda proxy did not answer, or not with a proxy response."""


def install() -> None:
    """Extend the emulator."""
    guard.wrap(app, "_incomplete_request_body_response", _incomplete_request_body_response)
    guard.wrap(apigateway_v1, "_execute_in_scope", _execute_in_scope)
    guard.wrap(apigateway_v1, "_lambda_proxy_response", _lambda_proxy_response)
    guard.wrap(apigateway_v1, "_gateway_response_for_type", _gateway_response_for_type)
    guard.wrap(apigateway_v1, "_gateway_error_response", _gateway_error_response)


# --- Which errors ---


def _incomplete_request_body_response(
    original: Callable[..., Any], method: str, path: str, headers: Mapping[str, str], *args: Any
) -> Any:
    """None for an API, which then reads the body as it came: the emulator would answer as S3."""
    if app._parse_execute_api_url(headers.get("host", ""), path):
        return None
    return original(method, path, headers, *args)


async def _execute_in_scope(
    original: Callable[..., Any], request: Json, api_id: str, stage_name: str, *args: Any
) -> Any:
    method, _path, _headers, body, *_ = args
    stage = apigateway_v1._stages_v1.get(api_id, {}).get(stage_name)
    if stage:
        request["stage"] = stage
        if len(body or b"") > MAX_BODY:
            return apigateway_v1._gw_error(_TOO_LARGE, "Request Too Long")
        if method not in _ANY:
            return _unknown(request)
    try:
        answer = await original(request, api_id, stage_name, *args)
    except _ProxyFailedError as error:
        logger.warning("the Lambda proxy of %s failed: %s", request["resource_path"], error)
    except Exception:
        logger.exception("a fault of the emulator in %s", request["resource_path"])
    else:
        # Without a resource, it is not a method's own authorization that misses a token.
        unknown = getattr(answer, "response_type", "") == _UNSIGNED and not request["resource_path"]
        return _unknown(request) if unknown else answer
    return apigateway_v1._gw_error("DEFAULT_5XX", _FAULT)


def _unknown(request: Json) -> Any:
    """The answer to a path and method that do not exist."""
    authorization = request["headers"].get("authorization", "AWS4-HMAC-SHA256")
    failure = sigv4.foreign_authorization_failure(request["headers"])
    if failure and not authorization.startswith("AWS4-HMAC-SHA256"):
        return apigateway_v1._GatewayError("DEFAULT_4XX", failure[1], "IncompleteSignatureException")
    return apigateway_v1._gw_error(_UNSIGNED, "Missing Authentication Token")


def _lambda_proxy_response(original: Callable[..., Any], result: Json) -> Any:
    if result.get("error") or result.get("throttle"):
        raise _ProxyFailedError(result.get("body"))
    if not _is_proxy_response(result.get("body")):
        raise _ProxyFailedError("Malformed Lambda proxy response")
    return original(result)


def _is_proxy_response(body: Any) -> bool:
    """Whether it is `{"statusCode", "headers"?, "multiValueHeaders"?, "body"?, "isBase64Encoded"?}`."""
    if not isinstance(body, dict) or not str(body.get("statusCode")).isdecimal():
        return False
    return (
        100 <= int(body["statusCode"]) <= 599
        and isinstance(body.get("body", ""), str | None)
        and _is_map(body.get("headers"), str | int | float | bool)
        and _is_map(body.get("multiValueHeaders"), list)
    )


def _is_map(value: Any, of: Any) -> bool:
    members = {} if value is None else value
    return isinstance(members, dict) and all(isinstance(member, of) for member in members.values())


# --- How they are rendered ---


def _gateway_response_for_type(original: Callable[..., Json], customized: Json, response_type: str) -> Json:
    response = original({} if response_type == _TOO_LARGE else customized, response_type)
    templates: Mapping[str, str] = response.get("responseTemplates") or {}
    kind = _JSON_TYPE if _JSON_TYPE in templates else next(iter(templates), _JSON_TYPE)
    _content_type.set(kind)
    if kind == _JSON_TYPE:
        return response
    return {**response, "responseTemplates": {**templates, _JSON_TYPE: templates[kind]}}


def _gateway_error_response(original: Callable[..., Any], error: Any, request: Json) -> Any:
    status, headers, body = original(error, request)
    kind = _content_type.get()
    mapped = {name.lower() for name in headers if name != "Content-Type"}
    if "content-type" in mapped:
        headers.pop("Content-Type")
    elif headers["Content-Type"] == _JSON_TYPE:
        headers["Content-Type"] = kind
    return status, headers, body
