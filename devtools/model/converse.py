"""The wire protocol of Bedrock's Converse (REST-JSON), as far as the pipeline uses it.

A request has one user message, and forces one tool if the model's family supports that; all other requests
are refused with the reason, and so are fields that the family does not support
(devtools.model.model_families). A request may name a guardrail and mark content for it, which has no effect.

    ConverseError        an error that the caller gets: an AWS error code, its HTTP status, a message
    Backend              answers a ConverseRequest with an Answer, or raises a ConverseError

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

import json
import re
import secrets
from dataclasses import dataclass
from typing import Any, Protocol

from devtools.model import model_families

type Json = dict[str, Any]

_STATUS_BY_CODE = {
    "ValidationException": 400,
    "AccessDeniedException": 403,
    "ResourceNotFoundException": 404,
    "ModelTimeoutException": 408,
    "ModelErrorException": 424,
    "ThrottlingException": 429,
    "InternalServerException": 500,
    "ServiceUnavailableException": 503,
}
_CHARACTERS_PER_TOKEN = 4
_TEXT_BLOCKS = {"text", "guardContent"}
_QUALIFIERS = ("grounding_source", "query", "guard_content")
_GUARDRAIL = re.compile(r"[a-z0-9]+|arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:guardrail/[a-z0-9]+")
_GUARDRAIL_VERSION = re.compile(r"[1-9][0-9]{0,7}|DRAFT")
_TRACES = ("enabled", "disabled", "enabled_full")
_TYPE_NAMES = {dict: "an object", list: "an array", str: "a string"}


class ConverseError(Exception):
    """An error as Bedrock would return it.

    `code` is the AWS error code, and `status` the HTTP status, by default the one that Bedrock uses for it.
    """

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or _STATUS_BY_CODE[code]


@dataclass(frozen=True)
class Tool:
    """The tool that the model must call; `schema` is the JSON Schema of its input."""

    name: str
    description: str
    schema: Json


@dataclass(frozen=True)
class ConverseRequest:
    """A request: its texts and tool, and the whole `body` for a backend that forwards it."""

    model_id: str
    system: str
    user: str
    tool: Tool
    max_tokens: int | None
    body: Json


@dataclass(frozen=True)
class Answer:
    """The assistant's content blocks, its stop reason, and the token counts."""

    content: list[Json]
    stop_reason: str
    input_tokens: int
    output_tokens: int

    def body(self, latency_ms: int) -> Json:
        """Return the response body of Converse."""
        return {
            "output": {"message": {"role": "assistant", "content": self.content}},
            "stopReason": self.stop_reason,
            "usage": {
                "inputTokens": self.input_tokens,
                "outputTokens": self.output_tokens,
                "totalTokens": self.input_tokens + self.output_tokens,
            },
            "metrics": {"latencyMs": latency_ms},
        }


class Backend(Protocol):
    """Analyses tickets: the rules, a model server, or Bedrock itself."""

    @property
    def name(self) -> str:
        """Return the name that /healthz returns."""

    async def converse(self, request: ConverseRequest) -> Answer:
        """Return the answer. Raises ConverseError. It is cancelled if the caller disconnects."""


def parse(model_id: str, payload: bytes) -> ConverseRequest:
    """Parse a request body. Raises a ValidationException that says what is expected."""
    body = parse_json(payload)
    if not isinstance(body, dict):
        raise invalid("The request body must be a JSON object.")
    if reason := model_families.unsupported_field_error(model_id, body):
        raise invalid(reason)
    messages = _required(body, "messages", list)
    _check_guardrail(body)
    if len(messages) != 1 or not isinstance(messages[0], dict) or messages[0].get("role") != "user":
        raise invalid("This stand-in expects exactly one message, with the role user.")
    return ConverseRequest(
        model_id=model_id,
        system=_text(_required(body, "system", list)) if "system" in body else "",
        user=_text(_required(messages[0], "content", list)),
        tool=_tool(model_id, body),
        max_tokens=_max_tokens(body),
        body=body,
    )


def parse_json(payload: bytes) -> object:
    """Return the decoded JSON. Raises a ValidationException if it is invalid."""
    try:
        return json.loads(payload)
    except ValueError as error:
        raise invalid(f"The request body is not JSON: {error}") from error
    except RecursionError as error:
        raise invalid("The request body is nested too deeply.") from error


def invalid(message: str) -> ConverseError:
    """Return the error for an invalid request."""
    return ConverseError("ValidationException", message)


def answer_by_tool(request: ConverseRequest, tool_input: Json, stop_reason: str = "tool_use") -> Answer:
    """Return an answer that calls the request's tool; its token counts are estimates."""
    prompt = request.system + request.user + request.tool.description + json.dumps(request.tool.schema)
    return Answer(
        content=[tool_use(request, tool_input)],
        stop_reason=stop_reason,
        input_tokens=estimate_tokens(prompt),
        output_tokens=estimate_tokens(json.dumps(tool_input)),
    )


def tool_use(request: ConverseRequest, tool_input: Json) -> Json:
    """Return the content block for a call of the request's tool."""
    tool_use_id = f"tooluse_{secrets.token_urlsafe(16)}"
    return {"toolUse": {"toolUseId": tool_use_id, "name": request.tool.name, "input": tool_input}}


def estimate_tokens(text: str) -> int:
    """Return a rough estimate of four characters per token, which needs no tokenizer."""
    return max(1, len(text) // _CHARACTERS_PER_TOKEN)


def _tool(model_id: str, body: Json) -> Tool:
    tools = _required(body, "toolConfig.tools", list)
    specs = [tool["toolSpec"] for tool in tools if isinstance(tool, dict) and "toolSpec" in tool]
    choice = body["toolConfig"].get("toolChoice")
    if isinstance(choice, dict) and "tool" in choice:
        spec = _spec_named(_required(body, "toolConfig.toolChoice.tool.name", str), specs)
    elif model_families.supports_forced_tool(model_id):
        raise invalid(
            "This stand-in requires a forced tool: "
            'set toolConfig.toolChoice to {"tool": {"name": "…"}}, with the name of one of toolConfig.tools.'
        )
    elif len(specs) == 1 and isinstance(specs[0], dict):
        spec = specs[0]
    else:
        raise invalid(
            "This stand-in expects exactly one tool with a toolSpec if the model supports no forced tool."
        )
    name = _required(spec, "name", str)
    description = _required(spec, "description", str) if "description" in spec else ""
    return Tool(name, description, _required(spec, "inputSchema.json", dict))


def _spec_named(name: str, specs: list[Any]) -> Json:
    for spec in specs:
        if isinstance(spec, dict) and spec.get("name") == name:
            return spec
    raise invalid(f"toolConfig.toolChoice names the tool {name!r}, which is not in toolConfig.tools.")


def _check_guardrail(body: Json) -> None:
    if "guardrailConfig" not in body:
        return
    if not _GUARDRAIL.fullmatch(_required(body, "guardrailConfig.guardrailIdentifier", str)):
        raise invalid("guardrailConfig.guardrailIdentifier must be the id or the ARN of a guardrail.")
    if not _GUARDRAIL_VERSION.fullmatch(_required(body, "guardrailConfig.guardrailVersion", str)):
        raise invalid("guardrailConfig.guardrailVersion must be a positive integer or DRAFT.")
    if body["guardrailConfig"].get("trace", "disabled") not in _TRACES:
        raise invalid(f"guardrailConfig.trace must be one of {', '.join(_TRACES)}.")


def _max_tokens(body: Json) -> int | None:
    config = _required(body, "inferenceConfig", dict) if "inferenceConfig" in body else {}
    limit = config.get("maxTokens")
    if limit is None:
        return None
    if type(limit) is not int or limit < 1:
        raise invalid("inferenceConfig.maxTokens must be a positive integer.")
    return limit


def _text(blocks: list[object]) -> str:
    texts = [_text_of(block) for block in blocks if isinstance(block, dict) and block.keys() & _TEXT_BLOCKS]
    if not texts:
        raise invalid('The system prompt and the message need at least one block of the form {"text": "…"}.')
    return "\n\n".join(texts)


def _text_of(block: Json) -> str:
    if "text" in block:
        return _required(block, "text", str)
    qualifiers = _required(block, "guardContent.text", dict).get("qualifiers", [])
    if not isinstance(qualifiers, list) or not all(qualifier in _QUALIFIERS for qualifier in qualifiers):
        raise invalid(f"guardContent.text.qualifiers must be a list of {', '.join(_QUALIFIERS)}.")
    return _required(block, "guardContent.text.text", str)


def _required[T: (dict[str, Any], list[object], str)](document: Json, path: str, kind: type[T]) -> T:
    value: Any = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, kind):
        raise invalid(f"{path} must be {_TYPE_NAMES[kind]}.")
    return value
