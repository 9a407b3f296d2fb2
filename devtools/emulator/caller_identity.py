"""Who called a REST API: `$context.identity`, and `requestContext.identity` of a Lambda's event.

On AWS every field is there, and null when it does not apply: in a template it renders as nothing. `apiKey`
and `apiKeyId` are those of the key that a method with a required key was called with. `sourceIp` is the
address that opened the connection, whatever the client claims. The emulator leaves out what does not apply
and both key fields, and takes the first address of X-Forwarded-For. This module takes the last, which is
the front door's word.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import apigateway_v1

from devtools.emulator import guard

_FIELDS = (
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


def install() -> None:
    """Extend the emulator."""
    guard.wrap(apigateway_v1, "_build_lambda_event_v1", _build_lambda_event)


def _build_lambda_event(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    _api, _stage_name, _stage, resource, _path, method, headers, *_ = args
    event = original(*args, **kwargs)
    identity = dict.fromkeys(_FIELDS) | event["requestContext"]["identity"]
    identity["sourceIp"] = source_ip(headers)
    if key := api_key(resource, method, headers):
        identity |= {"apiKey": key["value"], "apiKeyId": key["id"]}
    event["requestContext"]["identity"] = identity
    return event


def source_ip(headers: Mapping[str, str]) -> str:
    """The address that opened the connection to API Gateway."""
    return headers.get("x-forwarded-for", "127.0.0.1").rpartition(",")[2].strip()


def api_key(resource: Mapping[str, Any], method: str, headers: Mapping[str, str]) -> dict[str, Any] | None:
    """The API key that a request to a method which requires one came with."""
    methods = resource["resourceMethods"]
    if not (methods.get(method) or methods.get("ANY") or {}).get("apiKeyRequired"):
        return None
    key: dict[str, Any] | None = apigateway_v1._resolve_api_key(headers.get("x-api-key"))
    return key
