"""The backend for an OpenAI-compatible server: it translates Converse into chat completions and back.

Source: https://platform.openai.com/docs/api-reference/chat/create
"""

import json
from typing import Any

import httpx

from devtools.model.converse import (
    Answer,
    ConverseError,
    ConverseRequest,
    Json,
    estimate_tokens,
    tool_use,
)

_CODE_BY_STATUS = {
    400: "ValidationException",
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    422: "ValidationException",
    429: "ThrottlingException",
}
_STOP_REASONS = {"length": "max_tokens", "content_filter": "content_filtered"}
_MAX_QUOTE_LENGTH = 300


class OpenAIBackend:
    """Calls `model`, by default the first one, on the server at `url`, with or without /v1 at its end.

    Call `check` before the first call of `converse`.
    """

    name = "openai"

    def __init__(self, url: str, model: str | None, timeout_seconds: float) -> None:
        self._url = url.rstrip("/").removesuffix("/v1") + "/v1"
        self._model = model
        self._timeout = httpx.Timeout(timeout_seconds, connect=5)

    async def check(self) -> None:
        """Ask the server for its models, and choose one. Raises ConverseError if it has none."""
        async with httpx.AsyncClient(timeout=self._timeout) as client:
            first_model = await self._first_model(client)
        self._model = self._model or first_model

    async def converse(self, request: ConverseRequest) -> Answer:
        """Return the server's answer. Raises ConverseError with the code that Bedrock would use."""
        async with httpx.AsyncClient(timeout=self._timeout) as client:
            body = await self._send(client, "POST", "/chat/completions", _chat(request, self._model))
        try:
            return _answer(request, body)
        except (LookupError, TypeError, AttributeError) as error:
            raise self._invalid_answer() from error

    async def _first_model(self, client: httpx.AsyncClient) -> str:
        body = await self._send(client, "GET", "/models")
        try:
            return str(body["data"][0]["id"])
        except (LookupError, TypeError) as error:
            message = f"{self._url} serves no model: load one."
            raise ConverseError("ServiceUnavailableException", message) from error

    async def _send(self, client: httpx.AsyncClient, method: str, path: str, body: Json | None = None) -> Any:
        # ASCII, because half of a surrogate pair, which a ticket may contain, cannot be encoded in UTF-8.
        content = None if body is None else json.dumps(body).encode("ascii")
        headers = {"Content-Type": "application/json"}
        try:
            response = await client.request(method, self._url + path, content=content, headers=headers)
        except httpx.ConnectTimeout as error:
            raise self._unavailable("does not respond") from error
        except httpx.TimeoutException as error:
            message = f"The model server at {self._url} took longer than {self._timeout.read:g} s."
            raise ConverseError("ModelTimeoutException", message) from error
        except httpx.TransportError as error:
            raise self._unavailable(f"cannot be reached ({error})") from error
        if not response.is_success:
            raise self._error(response)
        try:
            return response.json()
        except ValueError as error:
            raise self._invalid_answer() from error

    def _error(self, response: httpx.Response) -> ConverseError:
        reason = f"returned {response.status_code}: {response.text[:_MAX_QUOTE_LENGTH]}"
        code = _CODE_BY_STATUS.get(response.status_code)
        return (
            ConverseError(code, f"The model server at {self._url} {reason}")
            if code
            else self._unavailable(reason)
        )

    def _unavailable(self, reason: str) -> ConverseError:
        return ConverseError("ServiceUnavailableException", f"The model server at {self._url} {reason}")

    def _invalid_answer(self) -> ConverseError:
        message = f"The model server at {self._url} did not return a chat completion."
        return ConverseError("ModelErrorException", message)


def _chat(request: ConverseRequest, model: str | None) -> Json:
    function = {
        "name": request.tool.name,
        "description": request.tool.description,
        "parameters": request.tool.schema,
    }
    texts = {"system": request.system, "user": request.user}
    chat: Json = {
        "model": model,
        "messages": [{"role": role, "content": text} for role, text in texts.items() if text],
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": request.tool.name}},
        "temperature": 0,
    }
    if request.max_tokens is not None:
        chat["max_tokens"] = request.max_tokens
    return chat


def _answer(request: ConverseRequest, body: Any) -> Answer:
    choice = body["choices"][0]
    calls = choice["message"].get("tool_calls")
    text = (calls[0]["function"]["arguments"] if calls else choice["message"].get("content")) or ""
    tool_input = _json_object(text) if calls else None
    if tool_input is not None:
        content, stop_reason = [tool_use(request, tool_input)], "tool_use"
    else:
        content, stop_reason = [{"text": text}] if text else [], "malformed_tool_use" if calls else "end_turn"
    usage = body.get("usage") or {}
    return Answer(
        content=content,
        stop_reason=_STOP_REASONS.get(choice.get("finish_reason"), stop_reason),
        input_tokens=usage.get("prompt_tokens") or estimate_tokens(request.system + request.user),
        output_tokens=usage.get("completion_tokens") or estimate_tokens(text),
    )


def _json_object(text: str) -> Json | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
