"""`$context` of a request to a REST API: its ids, and who sent it.

API Gateway gives each request two ids. `$context.requestId` is the client's `x-amzn-RequestId` header if
there is one; the AWS documentation says so only for a UUID, here any value is accepted.
`$context.extendedRequestId` is generated and cannot be chosen by the client. All templates and a Lambda
event's `requestContext` contain the same ids, and the response has them as `x-amzn-RequestId` and
`x-amz-apigw-id`. The emulator generates new ids for each of them, and omits the headers.

`$context.identity` and a Lambda event's `requestContext.identity` have every field; a field that does not
apply is null, which a template renders as an empty string. `apiKey` and `apiKeyId` are the key that was sent
to a method that requires one. `sourceIp` is the address that opened the connection, whatever the client
claims. The emulator omits fields that do not apply and both API key fields, and takes the first address in
X-Forwarded-For. This module takes the last address, which the local web server appends.

Sources:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-variables-for-access-logging.html and
API Gateway developer guide, "Variables for data transformations".
"""

import base64
import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from ministack.services import apigateway_v1

from devtools.emulator import patch

Json = dict[str, Any]

ID_HEADER = "x-amzn-requestid"
EXTENDED_ID_HEADER = "x-amz-apigw-id"

_EXTENDED_ID = "extended_request_id"
_EXTENDED_ID_BYTES = 11  # the length of AWS's
_IDENTITY_FIELDS = (
    "accessKey",
    "accountId",
    "apiKey",
    "apiKeyId",
    "caller",
    "cognitoAuthenticationProvider",
    "cognitoAuthenticationType",
    "cognitoIdentityId",
    "cognitoIdentityPoolId",
    "principalOrgId",
    "user",
    "userArn",
)

_request: ContextVar[Json] = ContextVar("request")


def install() -> None:
    """Extend the emulator."""
    patch.wrap(apigateway_v1, "_execute_in_scope", _execute_in_scope)
    patch.wrap(apigateway_v1, "_build_lambda_event_v1", _build_lambda_event)
    patch.wrap(apigateway_v1, "_gateway_error_response", _gateway_error_response)


def source_ip(headers: Mapping[str, str]) -> str:
    """The address that opened the connection to API Gateway."""
    return headers.get("x-forwarded-for", "127.0.0.1").rpartition(",")[2].strip()


def api_key(resource: Mapping[str, Any], method: str, headers: Mapping[str, str]) -> Json | None:
    """The API key in a request to a method that requires one."""
    methods = resource["resourceMethods"]
    if not (methods.get(method) or methods.get("ANY") or {}).get("apiKeyRequired"):
        return None
    key: Json | None = apigateway_v1._resolve_api_key(headers.get("x-api-key"))
    return key


async def _execute_in_scope(original: Callable[..., Any], request: Json, *args: Any, **kwargs: Any) -> Any:
    _set_ids(request)
    token = _request.set(request)
    try:
        response = await original(request, *args, **kwargs)
    finally:
        _request.reset(token)
    if isinstance(response, apigateway_v1._GatewayError):
        return response  # _gateway_error_response adds the headers
    status, headers, body = response
    return status, headers | _id_headers(request), body


def _gateway_error_response(original: Callable[..., Any], error: Any, request: Json) -> Any:
    _set_ids(request)  # a request with an invalid signature was not executed, so it has no ids yet
    status, headers, body = original(error, request)
    return status, headers | _id_headers(request), body


def _build_lambda_event(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    _api, _stage_name, _stage, resource, _path, method, headers, *_ = args
    event = original(*args, **kwargs)
    context, request = event["requestContext"], _request.get()
    identity = dict.fromkeys(_IDENTITY_FIELDS) | context["identity"] | {"sourceIp": source_ip(headers)}
    if key := api_key(resource, method, headers):
        identity |= {"apiKey": key["value"], "apiKeyId": key["id"]}
    context |= {
        "requestId": request["request_id"],
        "extendedRequestId": request[_EXTENDED_ID],
        "identity": identity,
    }
    return event


def _set_ids(request: Json) -> None:
    """Set the ids of a request, unless they are already set."""
    if _EXTENDED_ID not in request:
        request["request_id"] = request["headers"].get(ID_HEADER) or request["request_id"]
        request[_EXTENDED_ID] = base64.b64encode(os.urandom(_EXTENDED_ID_BYTES)).decode()


def _id_headers(request: Json) -> dict[str, str]:
    return {ID_HEADER: request["request_id"], EXTENDED_ID_HEADER: request[_EXTENDED_ID]}
