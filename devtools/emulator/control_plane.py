"""The control plane takes signed requests only, and none that a web page sends.

On AWS every request is signed, but for a few that anybody may send. The emulator checks the signatures of IAM
users and roles, with AUTH=true, and takes its root user's key and a few others without any; its own
administrative addresses (`/_ministack/reset` …) take everybody. This module stands in front of all of that:

- a request has a valid Signature Version 4, in its headers or in its query string, by the root user's key
  (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), by an IAM user or by a role's session; else it is refused as
  on AWS. Only the root user may use the emulator's own addresses;
- what is served without a signature is listed here: the health check, REST APIs, which have authorizers of
  their own, what apps send to Cognito to sign in, and the keys of its tokens;
- no answer but a REST API's own lets other origins read it (CORS);
- pages of another origin are refused, and so are foreign hosts (devtools.same_origin). PAGE_ORIGIN, such as
  `http://localhost:3000`, names the one origin besides the emulator's whose pages may use the REST APIs;
- a role's session gets a secret that cannot be computed from the function's ARN.
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

from devtools.emulator import guard
from devtools.same_origin import SameOrigin

_HEALTH = "/_ministack/health"
_REST_APIS = "/_aws/execute-api/"
_KEYS_OF_TOKENS = re.compile(r"/[a-z0-9-]+_[0-9A-Za-z]+/\.well-known/(jwks\.json|openid-configuration)")
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
# A name before it would be a bucket's, a function's, or that of another service.
_PLAIN_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")
_ALGORITHM = "AWS4-HMAC-SHA256"
_UNSIGNED = AuthError("MissingAuthenticationToken", "Missing Authentication Token")
_MISMATCH = AuthError("SignatureDoesNotMatch", sigv4.SIGNATURE_MISMATCH)
_ROOT_ONLY = AuthError("AccessDenied", "Only the emulator's root user may do this.")
_OWN_ADDRESSES = re.compile(r"/(_ministack|_aws|_localstack)(/|$)")
_HASH = re.compile(r"[0-9a-f]{64}")
_SALT = secrets.token_hex(16)


def install() -> None:
    """Extend the emulator."""
    page_origin = os.environ.get("PAGE_ORIGIN")
    guarded = SameOrigin(ControlPlane(app.app), origins=[page_origin] if page_origin else [])
    guard.wrap(lambda_runtime, "execution_credentials", _execution_credentials)
    guard.wrap(lambda_svc, "execution_credentials", _execution_credentials)
    guard.replace(app, "app", guarded)


class ControlPlane:
    """An ASGI application around the emulator's: it refuses what is neither signed nor open to everybody."""

    def __init__(self, emulator: ASGIApp) -> None:
        self._emulator = emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or refuse it."""
        if scope["type"] != "http" or _is_rest_api(scope):
            await self._emulator(scope, receive, send)
        elif _is_open(scope):
            await self._emulator(scope, receive, _without_cors(send))
        else:
            with suppress(ClientDisconnect):
                await self._check(Request(scope, receive), receive, _without_cors(send))

    async def _check(self, request: Request, receive: Receive, send: Send) -> None:
        if failure := await _failure(request):
            await _refusal(request, failure)(request.scope, receive, send)
        else:
            await self._emulator(request.scope, _replayed(await request.body(), receive), send)


def _is_rest_api(scope: Scope) -> bool:
    return _has_plain_host(scope) and scope["path"].startswith(_REST_APIS)


def _is_open(scope: Scope) -> bool:
    method, path = scope["method"], scope["path"]
    if not _has_plain_host(scope):
        return False
    if method == "GET":
        return path == _HEALTH or _KEYS_OF_TOKENS.fullmatch(path) is not None
    return (method, path) == ("POST", "/") and _headers(scope).get("x-amz-target", "") in _PUBLIC_OPERATIONS


def _has_plain_host(scope: Scope) -> bool:
    return _PLAIN_HOST.fullmatch(Headers(scope=scope).get("host", "")) is not None


async def _failure(request: Request) -> AuthError | None:
    """What is wrong with a request's signature, if anything."""
    headers, query = _headers(request.scope), _query(request.scope)
    presigned = not headers.get("authorization", "").startswith(_ALGORITHM)
    if presigned and query.get("X-Amz-Algorithm") != [_ALGORITHM]:
        return _UNSIGNED
    access_key = router.extract_access_key_id(headers, query)
    body = await request.body()
    # A body that is sent in signed chunks, or is not signed, has a word in the place of its hash.
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
    if _OWN_ADDRESSES.match(request.scope["path"]) and access_key != os.environ["AWS_ACCESS_KEY_ID"]:
        return _ROOT_ONLY
    return None


def _headers(scope: Scope) -> dict[str, str]:
    """Headers as a signature covers them: repeated ones joined by a comma."""
    joined: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), sigv4.decode_header_value(value)
        joined[key] = f"{joined[key]},{text}" if key in joined else text
    return joined


def _query(scope: Scope) -> dict[str, list[str]]:
    return parse_qs(scope["query_string"].decode("utf-8", "replace"), keep_blank_values=True)


def _refusal(request: Request, failure: AuthError) -> Response:
    """The failure in the form of the service that was called."""
    headers, query = _headers(request.scope), _query(request.scope)
    service = router.detect_service(request.method, request.scope["path"], headers, query)
    request_id = responses.new_uuid()
    status, answer_headers, body = app._credential_failure(service, "", request_id, failure, headers)
    return Response(body, status, answer_headers)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Hand on a body that has been read."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _without_cors(send: Send) -> Send:
    async def send_without_cors(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message["headers"] if not pair[0].lower().startswith(b"access-control-")]
            message = {**message, "headers": kept}
        await send(message)

    return send_without_cors


def _execution_credentials(original: Callable[..., Any], config: dict[str, Any]) -> Any:
    # The emulator derives them from a hash of the ARN; a qualifier that is secret makes the hash a secret.
    return original({**config, "FunctionArn": f"{config['FunctionArn']}:{_SALT}"})
