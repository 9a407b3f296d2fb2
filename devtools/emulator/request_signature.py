"""Signed requests to a REST API (methods with AWS_IAM).

With AUTH=true the emulator checks the signature and the caller's policies for `execute-api:Invoke`, as AWS
does. It lacks, and this module adds:

- a signature that covers the path as the client sees it. A client of a custom domain signs `/tickets`, and
  so does one that came through the front door, which keeps the request's Host. The emulator's own address
  of an API has `/_aws/execute-api/{api}/{stage}` before it; both paths are good;
- the scope of the credential: the service is execute-api and the region the API's, else INVALID_SIGNATURE;
- the body: a signed `X-Amz-Content-Sha256` must be the hash of the body, else INVALID_SIGNATURE;
- the root keys of the emulator (`test`, an account's number, its own key) are taken unsigned everywhere.
  Here they are unknown keys: UnrecognizedClientException, which goes through DEFAULT_4XX, with status 403;
- a caller without permission gets the gateway response ACCESS_DENIED: the emulator sends the API's plain
  error;
- no permission is asked for a path or method that does not exist.
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

from devtools.emulator import guard

_INVOKE = "execute-api:Invoke"
_LOCAL_ADDRESS = re.compile(r"/_aws/execute-api/[^/]+/[^/]+(?=/)")
_MISMATCH = "SignatureDoesNotMatch"
_DENIED = "AccessDenied"
_ERRORS = {_DENIED: ("ACCESS_DENIED", "AccessDeniedException")}


def install() -> None:
    """Extend the emulator."""
    errors = getattr(apigateway_v1, "_AUTHENTICATION_GATEWAY_ERRORS", {})
    guard.replace(apigateway_v1, "_AUTHENTICATION_GATEWAY_ERRORS", errors | _ERRORS)
    guard.wrap(iam_evaluator, "authenticate", _authenticate)
    guard.wrap(app, "_execute_api_authorization_type", _authorization_type)
    guard.wrap(app, "_enforce_data_plane", _enforce)


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
    failure = _failure(headers, query_params, options["resource_arn"])
    return options["auth_error_response"](failure) if failure else None


def _failure(
    headers: Mapping[str, str], query_params: Mapping[str, Any], resource_arn: str
) -> AuthError | None:
    """Why the caller may not invoke the method, if so."""
    access_key = router.extract_access_key_id(headers, query_params)
    if access_key and iam_evaluator.is_root_access_key(access_key):
        unknown = iam_evaluator._unknown_access_key()
        return AuthError(unknown.code, unknown.message)
    if failure := _scope_failure(resource_arn):
        return failure
    region = router.extract_region(headers, query_params)
    denied = iam_evaluator.enforce(access_key, _INVOKE, "apigateway", region, resource_arn=resource_arn)
    if denied is None or isinstance(denied, AuthError):
        return denied
    text = f"User: {denied.principal_arn} is not authorized to perform: {_INVOKE} on resource: {resource_arn}"
    return AuthError(_DENIED, text + (" with an explicit deny" if denied.decision == "Deny" else ""))


def _scope_failure(resource_arn: str) -> AuthError | None:
    """What is wrong with what a signature covers, beside the signature itself."""
    request = iam_evaluator._signed_request.get()
    if request is None or request.unverifiable or request.sigv2:
        return None
    parse = sigv4.parse_query_signature if request.presigned else sigv4.parse_header_signature
    signature = parse(request.query_params if request.presigned else request.headers)
    if isinstance(signature, tuple):
        return None  # incomplete: the emulator says so
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
