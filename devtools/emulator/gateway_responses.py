"""The errors that a REST API returns itself: gateway responses.

On AWS, a gateway response determines the status, headers and body of every error that API Gateway returns
itself. The emulator does so for some errors only. This module adds

- REQUEST_TOO_LARGE for a body of more than MAX_BODY bytes, and for a Lambda event, which contains the body,
  of more than MAX_EVENT; the emulator accepts any size. An API cannot customize this response;
- DEFAULT_4XX for a path or method that does not exist, if the request has an Authorization header: API
  Gateway takes the header for a signature, and `Bearer …` for an incomplete one. The emulator returns
  MISSING_AUTHENTICATION_TOKEN, as AWS does for a request without the header;
- MISSING_AUTHENTICATION_TOKEN for HTTP methods that ANY does not include; the emulator accepts all of them;
- DEFAULT_5XX for a Lambda proxy that failed, was throttled or did not return a proxy response (the emulator
  returns the Lambda error, or the result with status 200), and for an exception in the emulator (which
  returns its text);
- templates for other content types than application/json, which also determine the Content-Type. AWS chooses
  by the request's Accept; here the first template is used. GetGatewayResponse shows it under
  application/json, too.

A Lambda proxy's error has status 502 on AWS, unless DEFAULT_5XX sets another; here it has the emulator's 500.

Source: API Gateway developer guide, "Gateway response types" and "Amazon API Gateway important notes"
("Customizing the default gateway response for 413 REQUEST_TOO_LARGE isn't currently supported");
koki-develop/lgtm-generator#10 (AWS's response to an event that is too large for Lambda).
"""

import json
import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from ministack import app
from ministack.core import sigv4
from ministack.services import apigateway_v1

from devtools.emulator import patch

Json = dict[str, Any]

MAX_BODY = 10 * 1024 * 1024
MAX_EVENT = 6 * 1024 * 1024

_JSON_TYPE = "application/json"
_ANY_METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
_NO_AUTHENTICATION = "MISSING_AUTHENTICATION_TOKEN"
_TOO_LARGE = "REQUEST_TOO_LARGE"
_INTERNAL_ERROR = "Internal server error"

_content_type: ContextVar[str] = ContextVar("content_type", default=_JSON_TYPE)

logger = logging.getLogger(__name__)


class _EventTooLargeError(Exception):
    """Lambda does not accept an event of this size."""


class _ProxyFailedError(Exception):
    """A Lambda proxy failed, or did not return a proxy response."""


def install() -> None:
    """Extend the emulator."""
    patch.wrap(app, "_incomplete_request_body_response", _incomplete_request_body_response)
    patch.wrap(apigateway_v1, "_execute_in_scope", _execute_in_scope)
    patch.wrap(apigateway_v1, "_call_lambda_raw", _call_lambda_raw)
    patch.wrap(apigateway_v1, "_lambda_proxy_response", _lambda_proxy_response)
    patch.wrap(apigateway_v1, "_gateway_response_for_type", _gateway_response_for_type)
    patch.wrap(apigateway_v1, "_gateway_error_response", _gateway_error_response)


# --- The errors ---


def _incomplete_request_body_response(
    original: Callable[..., Any], method: str, path: str, headers: Mapping[str, str], *args: Any
) -> Any:
    """None for a REST API, which then reads the body unchanged; for others the emulator responds as S3."""
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
        if method not in _ANY_METHODS:
            return _not_found_error(request)
    try:
        response = await original(request, api_id, stage_name, *args)
    except _EventTooLargeError:
        return apigateway_v1._gw_error(_TOO_LARGE, "Request Too Long")
    except _ProxyFailedError as error:
        logger.warning("the Lambda proxy of %s failed: %s", request["resource_path"], error)
    except Exception:
        logger.exception("the emulator failed to serve %s", request["resource_path"])
    else:
        # With a resource, it is a method's own authorization that requires a token.
        not_found = (
            getattr(response, "response_type", "") == _NO_AUTHENTICATION and not request["resource_path"]
        )
        return _not_found_error(request) if not_found else response
    return apigateway_v1._gw_error("DEFAULT_5XX", _INTERNAL_ERROR)


def _not_found_error(request: Json) -> Any:
    """The error for a path or method that does not exist."""
    authorization = request["headers"].get("authorization", "AWS4-HMAC-SHA256")
    failure = sigv4.foreign_authorization_failure(request["headers"])
    if failure and not authorization.startswith("AWS4-HMAC-SHA256"):
        return apigateway_v1._GatewayError("DEFAULT_4XX", failure[1], "IncompleteSignatureException")
    return apigateway_v1._gw_error(_NO_AUTHENTICATION, "Missing Authentication Token")


async def _call_lambda_raw(
    original: Callable[..., Any], function_ref: str, event: Json, **options: Any
) -> Any:
    if len(json.dumps(event, ensure_ascii=False).encode(errors="replace")) > MAX_EVENT:
        raise _EventTooLargeError
    return await original(function_ref, event, **options)


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
        and _is_map_of(body.get("headers"), str | int | float | bool)
        and _is_map_of(body.get("multiValueHeaders"), list)
    )


def _is_map_of(value: Any, of: Any) -> bool:
    members = {} if value is None else value
    return isinstance(members, dict) and all(isinstance(member, of) for member in members.values())


# --- Rendering ---


def _gateway_response_for_type(original: Callable[..., Json], customized: Json, response_type: str) -> Json:
    response = original({} if response_type == _TOO_LARGE else customized, response_type)
    templates: Mapping[str, str] = response.get("responseTemplates") or {}
    content_type = _JSON_TYPE if _JSON_TYPE in templates else next(iter(templates), _JSON_TYPE)
    _content_type.set(content_type)
    if content_type == _JSON_TYPE:
        return response
    return {**response, "responseTemplates": {**templates, _JSON_TYPE: templates[content_type]}}


def _gateway_error_response(original: Callable[..., Any], error: Any, request: Json) -> Any:
    status, headers, body = original(error, request)
    content_type = _content_type.get()
    mapped = {name.lower() for name in headers if name != "Content-Type"}
    if "content-type" in mapped:
        headers.pop("Content-Type")
    elif headers["Content-Type"] == _JSON_TYPE:
        headers["Content-Type"] = content_type
    return status, headers, body
