"""What went wrong with a call to AWS or to the API, and what to do about it."""

from __future__ import annotations

import httpx
from botocore.exceptions import BotoCoreError, ClientError

_THROTTLED = {"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}


class ApiProblem(Exception):
    """The API refused a request, with this status; the message is for the user."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def advice(error: ClientError | BotoCoreError | httpx.HTTPError) -> str:
    """One or two sentences for the page: the cause, and what to do."""
    if isinstance(error, httpx.HTTPError):
        return "The API does not answer. If the stack was stopped, start it; otherwise try again in a moment."
    if isinstance(error, BotoCoreError):
        return f"AWS cannot be called: {error}. Sign in again (aws sso login), and restart the console."
    code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    if code in _EXPIRED:
        return "The console's AWS credentials have expired: sign in again (aws sso login), and restart it."
    if code.startswith("AccessDenied"):
        return (
            f"The console's AWS credentials do not permit {error.operation_name}. docs/console.md lists the "
            f"permissions. AWS says: {message}"
        )
    if code in _THROTTLED:
        return f"Delayed: AWS limits the calls of {error.operation_name}. The page is complete in a moment."
    return f"{error.operation_name} failed: {message or code}"
