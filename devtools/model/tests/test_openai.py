"""The backend for an OpenAI-compatible server: its requests, and what it returns."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest
import uvicorn
from botocore.exceptions import ClientError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from devtools.model.tests.conftest import StandIn

type Launch = Callable[..., StandIn]
type Run = Callable[..., subprocess.Popen[str]]

ANALYSIS = {"urgency": "LOW", "category": "OTHER"}


class FakeModelServer:
    """Responds to each chat with `answer`, or never if that is None, and stores the last request."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.models = ["small-model", "large-model"]
        self.answer: Response | None = None
        self.request: dict[str, Any] = {}
        self.app = Starlette(
            routes=[
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/v1/models", self._list_models),
            ]
        )

    async def _chat(self, request: Request) -> Response:
        self.request = await request.json()
        if self.answer is None:
            while (await request.receive())["type"] != "http.disconnect":
                pass
            return Response()
        return self.answer

    async def _list_models(self, _: Request) -> Response:
        return JSONResponse({"data": [{"id": model} for model in self.models]})


def chat_completion(
    arguments: str | None, content: str | None = None, finish_reason: str = "tool_calls"
) -> JSONResponse:
    """Return a chat completion: a tool call if there are arguments, otherwise the content."""
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if arguments is not None:
        function = {"name": "record_analysis", "arguments": arguments}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
    return JSONResponse(
        {
            "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
            "usage": {"prompt_tokens": 321, "completion_tokens": 45, "total_tokens": 366},
        }
    )


@contextmanager
def serving() -> Iterator[FakeModelServer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fake = FakeModelServer(f"http://127.0.0.1:{listener.getsockname()[1]}")
        server = uvicorn.Server(uvicorn.Config(fake.app, log_level="warning", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield fake
        server.should_exit = True
        thread.join(timeout=10)


@pytest.fixture(scope="module")
def running_model_server() -> Iterator[FakeModelServer]:
    with serving() as server:
        yield server


@pytest.fixture
def model_server(running_model_server: FakeModelServer) -> FakeModelServer:
    """A model server that returns a valid analysis."""
    running_model_server.answer = chat_completion(json.dumps(ANALYSIS))
    return running_model_server


@pytest.fixture(scope="module")
def shared_front(running_model_server: FakeModelServer, launch: Launch) -> StandIn:
    return launch("--timeout-seconds", "1", MODEL=running_model_server.url)


@pytest.fixture
def front(shared_front: StandIn) -> StandIn:
    """The stand-in in front of the model server, with its counts at zero."""
    shared_front.reset()
    return shared_front


def test_a_call_becomes_a_chat_with_a_forced_function(
    front: StandIn, model_server: FakeModelServer, call: dict[str, Any], schema: dict[str, Any]
) -> None:
    front.converse(call)

    assert model_server.request == {
        "model": "small-model",
        "messages": [
            {"role": "system", "content": "You triage support tickets."},
            {"role": "user", "content": call["messages"][0]["content"][0]["text"]},
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "record_analysis", "description": "Record it.", "parameters": schema},
            }
        ],
        "tool_choice": {"type": "function", "function": {"name": "record_analysis"}},
        "max_tokens": 700,
        "temperature": 0,
    }


def test_optional_parts_that_the_call_omits_are_omitted_from_the_chat(
    front: StandIn, model_server: FakeModelServer, call: dict[str, Any]
) -> None:
    front.converse({name: call[name] for name in ("modelId", "messages", "toolConfig")})

    assert "max_tokens" not in model_server.request
    assert [message["role"] for message in model_server.request["messages"]] == ["user"]


def test_the_arguments_of_the_function_become_the_input_of_the_tool(
    front: StandIn, call: dict[str, Any]
) -> None:
    response = front.converse(call)

    (block,) = response["output"]["message"]["content"]
    assert (block["toolUse"]["name"], block["toolUse"]["input"]) == ("record_analysis", ANALYSIS)
    assert response["stopReason"] == "tool_use"
    assert response["usage"] == {"inputTokens": 321, "outputTokens": 45, "totalTokens": 366}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (chat_completion('{"urgency"', finish_reason="length"), ("max_tokens", [{"text": '{"urgency"'}])),
        (chat_completion('{"urgency": LOW}'), ("malformed_tool_use", [{"text": '{"urgency": LOW}'}])),
        (chat_completion('["LOW"]'), ("malformed_tool_use", [{"text": '["LOW"]'}])),
        (chat_completion(""), ("malformed_tool_use", [])),
        (chat_completion(None, "It is urgent.", "stop"), ("end_turn", [{"text": "It is urgent."}])),
        (chat_completion(None, None, "content_filter"), ("content_filtered", [])),
    ],
)
def test_an_answer_without_a_valid_tool_call_keeps_its_text_and_has_a_stop_reason(
    front: StandIn,
    model_server: FakeModelServer,
    call: dict[str, Any],
    answer: Response,
    expected: tuple[str, list[dict[str, str]]],
) -> None:
    model_server.answer = answer

    response = front.converse(call)

    assert (response["stopReason"], response["output"]["message"]["content"]) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (JSONResponse({"error": "no such parameter"}, 400), ("ValidationException", 400)),
        (JSONResponse({"error": "no key"}, 401), ("AccessDeniedException", 403)),
        (JSONResponse({"error": "no such model"}, 404), ("ResourceNotFoundException", 404)),
        (JSONResponse({"error": "too many"}, 429), ("ThrottlingException", 429)),
        (PlainTextResponse("loading the model", 503), ("ServiceUnavailableException", 503)),
        (PlainTextResponse("broken", 500), ("ServiceUnavailableException", 503)),
        (PlainTextResponse("<html>"), ("ModelErrorException", 424)),
        (JSONResponse({"choices": []}), ("ModelErrorException", 424)),
        (JSONResponse(["?"]), ("ModelErrorException", 424)),
        (
            JSONResponse({"choices": [{"message": {"tool_calls": [{"function": None}]}}]}),
            ("ModelErrorException", 424),
        ),
        (chat_completion(cast(str, {"urgency": "LOW"})), ("ModelErrorException", 424)),
    ],
)
def test_an_error_of_the_server_raises_bedrocks_exception_with_the_servers_url(
    front: StandIn,
    model_server: FakeModelServer,
    call: dict[str, Any],
    answer: Response,
    expected: tuple[str, int],
) -> None:
    model_server.answer = answer

    with pytest.raises(ClientError, match=f"{model_server.url}/v1") as raised:
        front.converse(call)

    response = raised.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == expected


def test_errors_of_the_server_are_counted_as_the_caller_gets_them(
    front: StandIn, model_server: FakeModelServer, call: dict[str, Any]
) -> None:
    for status in (429, 403, 400, 500):
        model_server.answer = JSONResponse({}, status)
        front.outcomes(call, times=1)

    assert front.calls() == {"total": 4, "throttle": 1, "deny": 1, "invalid": 1, "error": 1}


def test_a_server_that_takes_too_long_raises_a_model_timeout(
    front: StandIn, model_server: FakeModelServer, call: dict[str, Any]
) -> None:
    model_server.answer = None

    with pytest.raises(front.bedrock.exceptions.ModelTimeoutException, match="longer than 1 s"):
        front.converse(call)


def test_a_ticket_with_half_of_a_surrogate_pair_is_sent_to_the_server(
    front: StandIn, model_server: FakeModelServer, call: dict[str, Any]
) -> None:
    call["messages"][0]["content"][0]["text"] = "broken \ud83d emoji"

    front.converse(call)

    assert model_server.request["messages"][1]["content"] == "broken \ud83d emoji"


def test_the_error_for_a_server_that_has_stopped_has_its_url(launch: Launch, call: dict[str, Any]) -> None:
    with serving() as server:
        front = launch(MODEL=server.url)

    with pytest.raises(
        front.bedrock.exceptions.ServiceUnavailableException, match=f"{server.url}/v1 cannot be reached"
    ):
        front.converse(call)


def test_a_server_without_models_stops_the_start_with_one_line(run: Run) -> None:
    with serving() as server:
        server.models = []
        process = run("-m", "devtools.model", MODEL=server.url)
        _, errors = process.communicate(timeout=30)

    assert process.returncode == 2
    assert errors == (f"MODEL={server.url} cannot be used: {server.url}/v1 serves no model: load one.\n")


def test_no_server_at_the_url_stops_the_start_with_one_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    process = run("-m", "devtools.model", MODEL=url)
    _, errors = process.communicate(timeout=30)

    assert process.returncode == 2
    assert errors.startswith(f"MODEL={url} cannot be used: The model server at {url}/v1 cannot be reached")
    assert errors.count("\n") == 1


def test_the_url_may_end_in_v1_and_the_model_can_be_chosen(
    launch: Launch, model_server: FakeModelServer, call: dict[str, Any]
) -> None:
    front = launch(MODEL=f"{model_server.url}/v1/", MODEL_NAME="large-model")

    front.converse(call)

    assert model_server.request["model"] == "large-model"
    assert front.health()["backend"] == "openai"
