"""Who called a REST API: `$context.identity`, and `requestContext.identity` of a Lambda's event.

On AWS every field is there, and null when it does not apply: in a template it renders as nothing. `apiKey`
and `apiKeyId` are those of the key that a method with a required key was called with. `sourceIp` is the
address that opened the connection, whatever the client claims. The emulator leaves out what does not apply
and both key fields, and takes the first address of X-Forwarded-For. This module takes the last, which is
the front door's word.
"""

from collections.abc import Callable
from typing import Any

from ministack.services import apigateway_v1

from local.emulator import guard

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
    identity["sourceIp"] = headers.get("x-forwarded-for", "127.0.0.1").rpartition(",")[2].strip()
    methods = resource["resourceMethods"]
    if (methods.get(method) or methods.get("ANY") or {}).get("apiKeyRequired"):
        key = apigateway_v1._resolve_api_key(headers.get("x-api-key"))
        identity |= {"apiKey": key["value"], "apiKeyId": key["id"]} if key else {}
    event["requestContext"]["identity"] = identity
    return event
