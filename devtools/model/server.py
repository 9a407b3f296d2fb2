"""The HTTP server of the stand-in: Converse as boto3 calls it, fault injection, and counts of calls.

POST   /model/{modelId}/converse    Bedrock Runtime's Converse
POST   /faults                      replace the faults (devtools.model.faults says what is allowed)
GET    /calls                       {"total": n, "ok": n, "invalid": n, "throttle": n, …}
DELETE /calls                       reset the counts
GET    /healthz                     {"status": "ok", "backend": "rules" | "openai" | "bedrock"}
"""

import asyncio
import json
import time
import uuid
from collections import Counter
from collections.abc import Coroutine, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from devtools.model.converse import (
    Answer,
    Backend,
    ConverseError,
    ConverseRequest,
    answer_by_tool,
    parse,
    parse_json,
)
from devtools.model.faults import KINDS, Faults, InvalidFaultsError, parse_faults
from devtools.model.prompt_injection import follow_instructions
from devtools.same_origin import SameOrigin

SLOW_SECONDS = 30.0

_FAULT_ERRORS = {
    "throttle": ("ThrottlingException", "Too many requests, please wait before trying again."),
    "deny": ("AccessDeniedException", "You don't have access to the model with the specified model ID."),
    "error": ("InternalServerException", "The system encountered an unexpected error during processing."),
}
_FAULT_ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "malformed": ({"urgency": "SOON", "confidence": "high"}, "tool_use"),
    "truncated": ({}, "max_tokens"),
}
_OUTCOME_OF_CODE = {
    "ThrottlingException": "throttle",
    "AccessDeniedException": "deny",
    "ValidationException": "invalid",
}


def create_app(backend: Backend, *, slow_seconds: float = SLOW_SECONDS) -> Starlette:
    """Return the app. Set `app.state.stopping` before a shutdown: it cancels open calls."""
    stand_in = _StandIn(backend, slow_seconds)
    app = Starlette(
        routes=[
            Route("/model/{model_id:path}/converse", stand_in.converse, methods=["POST"]),
            Route("/faults", stand_in.set_faults, methods=["POST"]),
            Route("/calls", stand_in.show_calls, methods=["GET"]),
            Route("/calls", stand_in.reset_calls, methods=["DELETE"]),
            Route("/healthz", stand_in.health, methods=["GET"]),
        ],
        exception_handlers={HTTPException: _unknown_operation},
        middleware=[Middleware(SameOrigin)],
    )
    app.state.stopping = stand_in.stopping
    return app


class _StandIn:
    def __init__(self, backend: Backend, slow_seconds: float) -> None:
        self.stopping = asyncio.Event()
        self._backend = backend
        self._slow_seconds = slow_seconds
        self._faults = Faults()
        self._calls: Counter[str] = Counter()

    async def converse(self, request: Request) -> Response:
        started = time.perf_counter()
        fault = None
        try:
            call = parse(request.path_params["model_id"], await request.body())
            fault = self._faults.draw()
            answer = await self._until_disconnected(request, self._answer(call, fault))
        except ConverseError as error:
            self._calls[fault or _OUTCOME_OF_CODE.get(error.code, "error")] += 1
            return _error(error)
        self._calls[fault or "ok"] += 1
        return _json(answer.body(latency_ms=round((time.perf_counter() - started) * 1000)))

    async def set_faults(self, request: Request) -> Response:
        try:
            self._faults = parse_faults(parse_json(await request.body()))
        except (ConverseError, InvalidFaultsError) as error:
            return _json({"message": str(error)}, status=400)
        return _json({})

    async def show_calls(self, _: Request) -> Response:
        outcomes = ("ok", "invalid", *KINDS)
        return _json({"total": self._calls.total()} | {name: self._calls[name] for name in outcomes})

    async def reset_calls(self, _: Request) -> Response:
        self._calls.clear()
        return Response(status_code=204)

    async def health(self, _: Request) -> Response:
        return _json({"status": "ok", "backend": self._backend.name})

    async def _answer(self, call: ConverseRequest, fault: str | None) -> Answer:
        if fault in _FAULT_ERRORS:
            raise ConverseError(*_FAULT_ERRORS[fault])
        if fault in _FAULT_ANSWERS:
            return answer_by_tool(call, *_FAULT_ANSWERS[fault])
        if fault == "slow":
            await asyncio.sleep(self._slow_seconds)
        if fault == "prompt_injection":
            return await follow_instructions(call, self._backend)
        return await self._backend.converse(call)

    async def _until_disconnected(self, request: Request, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Do the work, but cancel it when the caller disconnects or the server stops."""
        answer = asyncio.create_task(work)
        disconnected = asyncio.create_task(_wait_for_disconnect(request))
        stopping = asyncio.create_task(self.stopping.wait())
        tasks: list[asyncio.Task[Any]] = [answer, disconnected, stopping]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise ConverseError("ServiceUnavailableException", "The stand-in cancelled this call.")
            return answer.result()
        finally:
            for task in tasks:
                task.cancel()


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _unknown_operation(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - Starlette's type is wider than what it passes
    message = (
        f"This stand-in has no {request.method} {request.url.path}: it supports only Bedrock's Converse."
    )
    return _error(ConverseError("UnknownOperationException", message, error.status_code))


def _error(error: ConverseError) -> Response:
    return _json({"message": error.message}, error.status, {"x-amzn-ErrorType": error.code})


def _json(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    # ASCII, because half of a surrogate pair, which a ticket may contain, cannot be encoded in UTF-8.
    return Response(
        json.dumps(body),
        status,
        {"x-amzn-RequestId": str(uuid.uuid4()), **(headers or {})},
        media_type="application/json",
    )
