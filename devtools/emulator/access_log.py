"""The access log of a REST API's stage (`AccessLogSetting` of AWS::ApiGateway::Stage).

API Gateway writes one line for each request, refused ones too, in the stage's format to its log group. The
emulator drops the setting and writes nothing. This module keeps the setting, and like AWS refuses one in an
account without a role for it, and a format of several lines or without a request id. It writes each line as
AWS does:

- a variable without a value is `-`;
- in place of a request id that the client chose and that is not a UUID there is
  `{uuid}_REPLACED_INVALID_REQUEST_ID` (Access logging for REST APIs);
- values are escaped for a JSON string. AWS's pages do not say so; a `User-Agent` full of quotes and
  backslashes was seen escaped on AWS in 2024 (github.com/DataBiosphere/azul/issues/4348).

A stage's lines are in one stream, where AWS spreads them over many. As on AWS a line that cannot be written
fails nothing.
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
from ministack.core.responses import request_scope
from ministack.services import apigateway_v1, cloudwatch_logs
from ministack.services.cloudformation import provisioners

from devtools.emulator import guard
from devtools.emulator.caller_identity import api_key, source_ip
from devtools.emulator.request_id import EXTENDED_HEADER, HEADER

Json = dict[str, Any]

_STAGE = "AWS::ApiGateway::Stage"
_REQUEST_IDS = ("$context.requestId", "$context.extendedRequestId")
_VARIABLE = re.compile(r"\$context\.([A-Za-z]+(?:\.[A-Za-z]+)*)")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_error_type: ContextVar[str] = ContextVar("error_type", default="")

logger = logging.getLogger(__name__)


def install() -> None:
    """Extend the emulator."""
    guard.wrap_handler(provisioners, "_RESOURCE_HANDLERS", [_STAGE, "create"], _create_stage)
    guard.wrap_handler(provisioners, "_RESOURCE_HANDLERS", [_STAGE, "update"], _update_stage)
    guard.wrap(apigateway_v1, "_gateway_error_response", _gateway_error_response)
    guard.wrap(app, "_handle_execute_api_request", _handle_execute_api_request)


# --- The setting ---


def _create_stage(original: Callable[..., Any], logical_id: str, props: Json, stack_name: str) -> Any:
    settings = _settings(props)
    created = original(logical_id, props, stack_name)
    _keep(props, settings)
    return created


def _update_stage(
    original: Callable[..., Any], physical_id: str, old_props: Json, new_props: Json, *args: Any
) -> Any:
    settings = _settings(new_props)
    updated = original(physical_id, old_props, new_props, *args)
    _keep(new_props, settings)
    return updated


def _settings(props: Json) -> dict[str, str]:
    """The stage's `accessLogSettings`. Raises ValueError for what AWS refuses."""
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


def _keep(props: Json, settings: dict[str, str]) -> None:
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
        answer = await original(host, path, method, headers, *args, **options)
        parsed = app._parse_execute_api_url(host, path)
        scope = parsed and apigateway_v1.find_api_scope(parsed[0])
        if scope:
            with request_scope(*scope):
                _log(parsed, method, headers, answer, started)
        return answer
    finally:
        _error_type.reset(token)


def _log(
    address: tuple[str, str, str],
    method: str,
    headers: Mapping[str, str],
    answer: tuple[int, Mapping[str, str], bytes],
    started: float,
) -> None:
    api_id, stage_name, path = address
    stage = apigateway_v1._stages_v1.get(api_id, {}).get(stage_name)
    settings = stage and stage["accessLogSettings"]
    if not settings:
        return
    try:
        values = _request_values(api_id, path, method, headers) | _answer_values(answer, started)
        line = _VARIABLE.sub(lambda match: _escaped(values.get(match[1])), settings["format"])
        _put(settings["destinationArn"], stage_name, line, started)
    except Exception:
        logger.exception("%s %s is not in the access log", method, path)


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


def _answer_values(answer: tuple[int, Mapping[str, str], bytes], started: float) -> Json:
    status, headers, body = answer
    request_id = headers.get(HEADER, "")
    return {
        "requestId": request_id
        if _UUID.fullmatch(request_id)
        else f"{uuid.uuid4()}_REPLACED_INVALID_REQUEST_ID",
        "extendedRequestId": headers.get(EXTENDED_HEADER),
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(started)),
        "status": status,
        "responseLength": len(body or b""),
        "responseLatency": round((time.time() - started) * 1000),
        "error.responseType": _error_type.get(),
    }


def _escaped(value: Any) -> str:
    return json.dumps("-" if value in (None, "") else str(value))[1:-1]


def _put(destination: str, stream: str, line: str, started: float) -> None:
    target = {"logGroupName": destination.split(":")[6], "logStreamName": stream}
    cloudwatch_logs._create_log_stream(target)  # refused, when it is there already
    event = {"timestamp": int(started * 1000), "message": line}
    status, _headers, body = cloudwatch_logs._put_log_events({**target, "logEvents": [event]})
    if status >= 400:
        raise RuntimeError(json.loads(body)["message"])
