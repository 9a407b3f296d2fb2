"""The access log of a REST API's stage (`AccessLogSetting` of AWS::ApiGateway::Stage).

API Gateway writes one line in the stage's format for each request, including refused ones. It refuses the
setting if the account has no role for logging, and a format that has several lines or lacks a request id. The
emulator ignores the setting. This module stores it, checks it, and writes the lines:

- a variable without a value is `-`;
- a request id that the client chose and that is not a UUID is replaced by
  `{uuid}_REPLACED_INVALID_REQUEST_ID`;
- values are escaped for a JSON string. The AWS documentation does not say so, but a `User-Agent` full of
  quotes and backslashes was seen escaped on AWS in 2024 (github.com/DataBiosphere/azul/issues/4348).

All lines of a stage go to one log stream; AWS spreads them over many. As on AWS, a line that cannot be
written does not make the request fail.

Sources: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html and
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-variables-for-access-logging.html
"""

import json
import logging
import re
import time
import uuid
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from ministack import app
from ministack.services import apigateway_v1
from ministack.services.cloudformation import provisioners

from devtools.emulator import patch
from devtools.emulator.api_scope import Address, api_scope
from devtools.emulator.log_events import put_log_event
from devtools.emulator.request_context import EXTENDED_ID_HEADER, ID_HEADER, api_key, source_ip

Json = dict[str, Any]

_STAGE = "AWS::ApiGateway::Stage"
_REQUEST_IDS = ("$context.requestId", "$context.extendedRequestId")
_VARIABLE = re.compile(r"\$context\.([A-Za-z]+(?:\.[A-Za-z]+)*)")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_error_type: ContextVar[str] = ContextVar("error_type", default="")

logger = logging.getLogger(__name__)


def install() -> None:
    """Extend the emulator."""
    patch.wrap_handler(provisioners, "_RESOURCE_HANDLERS", [_STAGE, "create"], _create_stage)
    patch.wrap_handler(provisioners, "_RESOURCE_HANDLERS", [_STAGE, "update"], _update_stage)
    patch.wrap(apigateway_v1, "_gateway_error_response", _gateway_error_response)
    patch.wrap(app, "_handle_execute_api_request", _handle_execute_api_request)


# --- The setting ---


def _create_stage(original: Callable[..., Any], logical_id: str, props: Json, stack_name: str) -> Any:
    settings = _access_log_settings(props)
    created = original(logical_id, props, stack_name)
    _store(props, settings)
    return created


def _update_stage(
    original: Callable[..., Any], physical_id: str, old_props: Json, new_props: Json, *args: Any
) -> Any:
    settings = _access_log_settings(new_props)
    updated = original(physical_id, old_props, new_props, *args)
    _store(new_props, settings)
    return updated


def _access_log_settings(props: Json) -> dict[str, str]:
    """The stage's `accessLogSettings`. Raises ValueError for a setting that AWS refuses."""
    setting = props.get("AccessLogSetting")
    if not setting:
        return {}
    if not (apigateway_v1._account_settings.get("settings") or {}).get("cloudwatchRoleArn"):
        raise ValueError("CloudWatch Logs role ARN must be set in account settings to enable logging")
    text = setting["Format"]
    if not any(name in text for name in _REQUEST_IDS):
        raise ValueError(f"Access Log format must include at least one of {' or '.join(_REQUEST_IDS)}")
    if "\n" in text:
        raise ValueError("Access Log format must be single line")
    return {"destinationArn": setting["DestinationArn"], "format": text}


def _store(props: Json, settings: dict[str, str]) -> None:
    apigateway_v1._stages_v1[props["RestApiId"]][props["StageName"]]["accessLogSettings"] = settings


# --- The lines ---


def _gateway_error_response(original: Callable[..., Any], error: Any, request: Json) -> Any:
    _error_type.set(error.response_type)
    return original(error, request)


async def _handle_execute_api_request(
    original: Callable[..., Any],
    host: str,
    path: str,
    method: str,
    headers: Mapping[str, str],
    *args: Any,
    **options: Any,
) -> Any:
    started = time.time()
    token = _error_type.set("")
    try:
        response = await original(host, path, method, headers, *args, **options)
        with api_scope(host, path) as address:
            if address:
                _log(address, method, headers, response, started)
        return response
    finally:
        _error_type.reset(token)


def _log(
    address: Address,
    method: str,
    headers: Mapping[str, str],
    response: tuple[int, Mapping[str, str], bytes],
    started: float,
) -> None:
    api_id, stage_name, path = address
    stage = apigateway_v1._stages_v1.get(api_id, {}).get(stage_name)
    settings = stage and stage["accessLogSettings"]
    if not settings:
        return
    try:
        values = _request_values(api_id, path, method, headers) | _response_values(response, started)
        line = _VARIABLE.sub(lambda match: _escaped(values.get(match[1])), settings["format"])
        put_log_event(settings["destinationArn"], stage_name, int(started * 1000), line)
    except Exception:
        logger.exception("%s %s could not be written to the access log", method, path)


def _request_values(api_id: str, path: str, method: str, headers: Mapping[str, str]) -> Json:
    resource, _ = apigateway_v1._match_resource_tree(api_id, path.split("/"))
    if not resource or not resource["resourceMethods"].keys() & {method, "ANY"}:
        resource, _ = apigateway_v1._match_greedy_fallback(api_id, path.split("/"), method)
    key = resource and api_key(resource, method, headers)
    return {
        "httpMethod": method,
        "resourcePath": resource and resource["path"],
        "identity.apiKeyId": key and key["id"],
        "identity.sourceIp": source_ip(headers),
        "identity.userAgent": headers.get("user-agent"),
    }


def _response_values(response: tuple[int, Mapping[str, str], bytes], started: float) -> Json:
    status, headers, body = response
    request_id = headers.get(ID_HEADER, "")
    return {
        "requestId": request_id
        if _UUID.fullmatch(request_id)
        else f"{uuid.uuid4()}_REPLACED_INVALID_REQUEST_ID",
        "extendedRequestId": headers.get(EXTENDED_ID_HEADER),
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(started)),
        "status": status,
        "responseLength": len(body or b""),
        "responseLatency": round((time.time() - started) * 1000),
        "error.responseType": _error_type.get(),
    }


def _escaped(value: Any) -> str:
    return json.dumps("-" if value in (None, "") else str(value))[1:-1]
