"""The control plane accepts signed requests only, and none from web pages.

AWS requires a signature for all but a few public requests. With AUTH=true, the emulator checks the signatures
of IAM users and roles, but accepts its root user's key and a few other keys without checking; its own
administrative paths (`/_ministack/reset` …) are open to everybody. This module checks every request before
the emulator gets it:

- a request needs a valid Signature Version 4, in its headers or in its query string, by the root user's key
  (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), an IAM user or a role session; otherwise it gets the error
  that AWS returns. Only the root user may use the emulator's own paths;
- some requests need no signature: the health check, requests to REST APIs, which have their own authorizers,
  the Cognito calls with which users sign in, and requests for the keys of Cognito's tokens;
- only the responses of REST APIs may allow other origins to read them (CORS);
- requests from pages of another origin, and for foreign hosts, are refused (devtools.same_origin).
  PAGE_ORIGIN, such as `http://localhost:3000`, is the only other origin whose pages may call the REST APIs;
- the credentials of a role session cannot be computed from the function's ARN.

Source: IAM user guide, "AWS Signature Version 4 for API requests".
"""

import hashlib
import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

from ministack import app
from ministack.core import iam_evaluator, lambda_runtime, responses, router, sigv4
from ministack.core.iam_evaluator import AuthError, SignedRequest
from ministack.services import lambda_svc
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from devtools.emulator import patch
from devtools.same_origin import SameOrigin

_HEALTH = "/_ministack/health"
_REST_APIS = "/_aws/execute-api/"
_TOKEN_KEYS = re.compile(r"/[a-z0-9-]+_[0-9A-Za-z]+/\.well-known/(jwks\.json|openid-configuration)")
_PUBLIC_OPERATIONS = frozenset(
    f"AWSCognitoIdentityProviderService.{operation}"
    for operation in (
        "InitiateAuth",
        "RespondToAuthChallenge",
        "RevokeToken",
        "ForgotPassword",
        "ConfirmForgotPassword",
        "ChangePassword",
        "GetUser",
    )
)
# A subdomain would name a bucket, a function or another service.
_PLAIN_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")
_ALGORITHM = "AWS4-HMAC-SHA256"
_UNSIGNED = AuthError("MissingAuthenticationToken", "Missing Authentication Token")
_MISMATCH = AuthError("SignatureDoesNotMatch", sigv4.SIGNATURE_MISMATCH)
_ROOT_ONLY = AuthError("AccessDenied", "Only the emulator's root user may do this.")
_EMULATOR_PATHS = re.compile(r"/(_ministack|_aws|_localstack)(/|$)")
_HASH = re.compile(r"[0-9a-f]{64}")
_SALT = secrets.token_hex(16)


def install() -> None:
    """Extend the emulator."""
    page_origin = os.environ.get("PAGE_ORIGIN")
    application = SameOrigin(ControlPlane(app.app), origins=[page_origin] if page_origin else [])
    patch.wrap(lambda_runtime, "execution_credentials", _execution_credentials)
    patch.wrap(lambda_svc, "execution_credentials", _execution_credentials)
    patch.replace(app, "app", application)


class ControlPlane:
    """ASGI middleware that refuses requests that are neither signed nor public."""

    def __init__(self, emulator: ASGIApp) -> None:
        self._emulator = emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or _is_rest_api(scope):
            await self._emulator(scope, receive, send)
        elif _is_public(scope):
            await self._emulator(scope, receive, _without_cors(send))
        else:
            with suppress(ClientDisconnect):
                await self._check(Request(scope, receive), receive, _without_cors(send))

    async def _check(self, request: Request, receive: Receive, send: Send) -> None:
        if error := await _signature_error(request):
            await _error_response(request, error)(request.scope, receive, send)
        else:
            await self._emulator(request.scope, _replay(await request.body(), receive), send)


def _is_rest_api(scope: Scope) -> bool:
    return _has_plain_host(scope) and scope["path"].startswith(_REST_APIS)


def _is_public(scope: Scope) -> bool:
    method, path = scope["method"], scope["path"]
    if not _has_plain_host(scope):
        return False
    if method == "GET":
        return path == _HEALTH or _TOKEN_KEYS.fullmatch(path) is not None
    return (method, path) == ("POST", "/") and _headers(scope).get("x-amz-target", "") in _PUBLIC_OPERATIONS


def _has_plain_host(scope: Scope) -> bool:
    return _PLAIN_HOST.fullmatch(Headers(scope=scope).get("host", "")) is not None


async def _signature_error(request: Request) -> AuthError | None:
    """The error of a request whose signature is missing or wrong, or that its caller may not send."""
    headers, query = _headers(request.scope), _query(request.scope)
    presigned = not headers.get("authorization", "").startswith(_ALGORITHM)
    if presigned and query.get("X-Amz-Algorithm") != [_ALGORITHM]:
        return _UNSIGNED
    access_key = router.extract_access_key_id(headers, query)
    body = await request.body()
    # For an unsigned body, or one that is sent in signed chunks, the header holds a keyword, not a hash.
    claimed = headers.get("x-amz-content-sha256", "")
    if _HASH.fullmatch(claimed) and claimed != hashlib.sha256(body).hexdigest():
        return _MISMATCH
    raw_path = request.scope["raw_path"].decode("latin-1")
    iam_evaluator._signed_request.set(
        SignedRequest(access_key, request.method, raw_path, query, headers, body, presigned=presigned)
    )
    account = iam_evaluator.find_iam_access_key_account(access_key) or responses.get_account_id()
    credential = iam_evaluator.authenticate(access_key, account)
    if isinstance(credential, AuthError):
        return credential
    if _EMULATOR_PATHS.match(request.scope["path"]) and access_key != os.environ["AWS_ACCESS_KEY_ID"]:
        return _ROOT_ONLY
    return None


def _headers(scope: Scope) -> dict[str, str]:
    """Headers as a signature covers them: the values of a repeated header are joined by commas."""
    joined: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), sigv4.decode_header_value(value)
        joined[key] = f"{joined[key]},{text}" if key in joined else text
    return joined


def _query(scope: Scope) -> dict[str, list[str]]:
    return parse_qs(scope["query_string"].decode("utf-8", "replace"), keep_blank_values=True)


def _error_response(request: Request, error: AuthError) -> Response:
    """The error in the format of the service that was called."""
    headers, query = _headers(request.scope), _query(request.scope)
    service = router.detect_service(request.method, request.scope["path"], headers, query)
    request_id = responses.new_uuid()
    status, answer_headers, body = app._credential_failure(service, "", request_id, error, headers)
    return Response(body, status, answer_headers)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Provide a body that was already read once more."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


def _without_cors(send: Send) -> Send:
    async def send_without_cors(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message["headers"] if not pair[0].lower().startswith(b"access-control-")]
            message = {**message, "headers": kept}
        await send(message)

    return send_without_cors


def _execution_credentials(original: Callable[..., Any], config: dict[str, Any]) -> Any:
    # The emulator derives them from a hash of the ARN: a secret qualifier makes them unpredictable.
    return original({**config, "FunctionArn": f"{config['FunctionArn']}:{_SALT}"})
