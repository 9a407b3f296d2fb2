"""Signed requests to a REST API (methods with the authorization type AWS_IAM).

With AUTH=true, the emulator checks the signature, and whether the caller's policies allow
`execute-api:Invoke`. On AWS, but not in the emulator

- the signature covers the path that the client sees: `/tickets` for a custom domain, and also through the
  local web server, which keeps the request's Host. In the emulator, `/_aws/execute-api/{api}/{stage}` comes
  before it. Here both paths are valid;
- the credential scope must name the service execute-api and the region of the API; otherwise
  INVALID_SIGNATURE;
- a signed `X-Amz-Content-Sha256` must be the hash of the body; otherwise INVALID_SIGNATURE;
- an unknown key is refused: UnrecognizedClientException, with the gateway response DEFAULT_4XX and status
  403. The emulator accepts its root keys (`test`, account numbers, its own key) without a signature; here
  they are unknown;
- a caller without permission gets the gateway response ACCESS_DENIED; the emulator returns the API's plain
  error;
- no permission is required for a path or method that does not exist.

Source: API Gateway developer guide, "Control access to a REST API with IAM permissions" and "Gateway response
types".
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ministack import app
from ministack.core import iam_evaluator, router, sigv4
from ministack.core.iam_evaluator import AuthError
from ministack.services import apigateway_v1

from devtools.emulator import patch

_INVOKE = "execute-api:Invoke"
_LOCAL_ADDRESS = re.compile(r"/_aws/execute-api/[^/]+/[^/]+(?=/)")
_MISMATCH = "SignatureDoesNotMatch"
_DENIED = "AccessDenied"
_ERRORS = {_DENIED: ("ACCESS_DENIED", "AccessDeniedException")}


def install() -> None:
    """Extend the emulator."""
    errors = getattr(apigateway_v1, "_AUTHENTICATION_GATEWAY_ERRORS", {})
    patch.replace(apigateway_v1, "_AUTHENTICATION_GATEWAY_ERRORS", errors | _ERRORS)
    patch.wrap(iam_evaluator, "authenticate", _authenticate)
    patch.wrap(app, "_execute_api_authorization_type", _authorization_type)
    patch.wrap(app, "_enforce_data_plane", _enforce)


def _authorization_type(original: Callable[..., str | None], *args: Any) -> str:
    return original(*args) or "NONE"


def _authenticate(original: Callable[..., Any], access_key_id: str, account_id: str) -> Any:
    request = iam_evaluator._signed_request.get()
    result = original(access_key_id, account_id)
    address = _LOCAL_ADDRESS.match(request.raw_path) if request else None
    if address and isinstance(result, AuthError) and result.code == _MISMATCH:
        iam_evaluator._signed_request.set(replace(request, raw_path=request.raw_path[address.end() :]))
        return original(access_key_id, account_id)
    return result


def _enforce(
    original: Callable[..., Any],
    service: str,
    iam_action: str,
    headers: Mapping[str, str],
    query_params: Mapping[str, Any],
    *args: Any,
    **options: Any,
) -> Any:
    if iam_action != _INVOKE:
        return original(service, iam_action, headers, query_params, *args, **options)
    error = _authorization_error(headers, query_params, options["resource_arn"])
    return options["auth_error_response"](error) if error else None


def _authorization_error(
    headers: Mapping[str, str], query_params: Mapping[str, Any], resource_arn: str
) -> AuthError | None:
    """The error if the caller may not invoke the method."""
    access_key = router.extract_access_key_id(headers, query_params)
    if access_key and iam_evaluator.is_root_access_key(access_key):
        unknown = iam_evaluator._unknown_access_key()
        return AuthError(unknown.code, unknown.message)
    if error := _signature_error(resource_arn):
        return error
    region = router.extract_region(headers, query_params)
    denied = iam_evaluator.enforce(access_key, _INVOKE, "apigateway", region, resource_arn=resource_arn)
    if denied is None or isinstance(denied, AuthError):
        return denied
    text = f"User: {denied.principal_arn} is not authorized to perform: {_INVOKE} on resource: {resource_arn}"
    return AuthError(_DENIED, text + (" with an explicit deny" if denied.decision == "Deny" else ""))


def _signature_error(resource_arn: str) -> AuthError | None:
    """The error if the credential scope or the hash of the body is wrong."""
    request = iam_evaluator._signed_request.get()
    if request is None or request.unverifiable or request.sigv2:
        return None
    parse = sigv4.parse_query_signature if request.presigned else sigv4.parse_header_signature
    signature = parse(request.query_params if request.presigned else request.headers)
    if isinstance(signature, tuple):
        return None  # The signature is incomplete: the emulator returns the error.
    if signature.service != "execute-api":
        return AuthError(_MISMATCH, "Credential should be scoped to correct service: 'execute-api'. ")
    api_id = resource_arn.split(":")[5].partition("/")[0]
    scope = apigateway_v1.find_api_scope(api_id)
    if scope and signature.region != scope[1]:
        return AuthError(_MISMATCH, "Credential should be scoped to a valid region. ")
    claimed = request.headers.get("x-amz-content-sha256")
    if claimed and claimed != hashlib.sha256(request.body).hexdigest():
        return AuthError(_MISMATCH, sigv4.SIGNATURE_MISMATCH)
    return None
