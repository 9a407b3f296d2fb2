"""What went wrong with a call to AWS or to the API, and what to do about it."""

from __future__ import annotations

import httpx
from botocore.exceptions import BotoCoreError, ClientError

type CallError = ClientError | BotoCoreError | httpx.HTTPError

_THROTTLED = {"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}


class ApiProblem(Exception):
    """The API refused a request: its status and problem details."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(f"{title}. {detail}".strip())
        self.status = status


def is_throttled(error: CallError) -> bool:
    """Whether the call only has to be repeated later."""
    return _code(error) in _THROTTLED


def advice(error: CallError) -> str:
    """One or two sentences for the page: the cause, and what to do."""
    if isinstance(error, httpx.HTTPError):
        return "The API does not answer. If the stack was stopped, start it; otherwise try again in a moment."
    if not isinstance(error, ClientError):
        return f"AWS cannot be called: {error} Sign in again (aws sso login), and restart the console."
    if _code(error) in _EXPIRED:
        return "The console's AWS credentials have expired: sign in again (aws sso login), and restart it."
    if _code(error).startswith("AccessDenied"):
        return (
            f"The console's AWS credentials do not permit {error.operation_name}; docs/console.md lists the "
            f"permissions. AWS says: {error.response['Error'].get('Message', '')}"
        )
    if _code(error) in _THROTTLED:
        return f"AWS limits the calls of {error.operation_name}: try again in a moment."
    return f"{error.operation_name} failed: {error.response['Error'].get('Message') or _code(error)}"


def _code(error: CallError) -> str:
    return str(error.response["Error"].get("Code", "")) if isinstance(error, ClientError) else ""
