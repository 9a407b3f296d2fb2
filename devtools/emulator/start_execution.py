"""The `states:action/StartExecution` integration of a REST API.

On AWS an `AWS` integration with the URI `arn:aws:apigateway:{region}:states:action/{Action}` renders the
request template that fits the content type, sends it to Step Functions as the action's JSON, and answers
with the integration response whose pattern matches the status of that call. The emulator takes such a URI
for the name of a Lambda function and answers 504. This module adds the integration, for every action.

Errors of the call are status 400 with `{"__type": "<namespace>#<Error>", "message": …}`, throttling too. As
on AWS they are: SerializationException (the rendered template is not a JSON object, or its `input` is no
string), InvalidExecutionInput, StateMachineDoesNotExist, ExecutionAlreadyExists … The role in `credentials`
is not checked here.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import apigateway_v1, stepfunctions

from devtools.emulator import guard
from devtools.emulator.mapping_template import MappingTemplateError, Parameters, Rendering, render
from devtools.emulator.validation_error import media_type

Response = tuple[int, dict[str, str], bytes]

_JSON = "application/json"
_STATES_NAMESPACE = "com.amazonaws.swf.service.v2.model"
_PROTOCOL_NAMESPACE = "com.amazon.coral.service"

logger = logging.getLogger(__name__)


class ConfigurationError(Exception):
    """The integration cannot answer: on AWS an `API_CONFIGURATION_ERROR`, status 500."""


@dataclass(frozen=True)
class Request:
    """What the templates of one API request can see."""

    body: str
    parameters: Parameters
    context: Mapping[str, Any]

    def render(self, template: str, body: str) -> Rendering:
        """Render a template whose `$input` is `body`. Raises MappingTemplateError."""
        return render(template, body=body, parameters=self.parameters, context=self.context)


def install() -> None:
    """Extend the emulator."""
    guard.wrap(apigateway_v1, "_invoke_lambda_custom_v1", _invoke)


async def _invoke(
    original: Callable[..., Any], integration: dict[str, Any], *args: Any, **options: Any
) -> Any:
    target = apigateway_v1._parse_service_integration_uri(integration["uri"])
    if target is None or target[1:3] != ("states", "action"):
        return await original(integration, *args, **options)
    region, _service, _verb, action = target
    request = _request(args, options)
    template = request_template(integration, request.parameters.header)
    try:
        call = request.body if template is None else request.render(template, request.body).text
        with request_scope(options["owner_account_id"], region):
            status, answer = await _call_step_functions(action, call)
        return integration_response(integration, status, answer, request)
    except (MappingTemplateError, ConfigurationError):
        logger.exception("the integration %s is configured wrongly", integration["uri"])
        return apigateway_v1._gw_error("API_CONFIGURATION_ERROR", "Internal server error")


def _request(args: tuple[Any, ...], options: dict[str, Any]) -> Request:
    """The request, by way of the event that the emulator would send to a Lambda."""
    event = apigateway_v1._build_lambda_event_v1(
        *args,
        authorizer_context=options["authorizer_context"],
        caller_identity=options["caller_identity"],
    )
    parameters = Parameters(
        path=event["pathParameters"] or {},
        querystring=event["queryStringParameters"] or {},
        header=event["headers"],
    )
    return Request(event["body"] or "", parameters, event["requestContext"])


def request_template(integration: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    """The template for the request's content type; its parameters, such as a charset, do not count."""
    content_type = media_type(headers)
    templates: Mapping[str, str] = integration["requestTemplates"] or {}
    return next((text for key, text in templates.items() if key.lower() == content_type), None)


# --- The call of Step Functions ---


async def _call_step_functions(action: str, text: str) -> tuple[int, str]:
    """Call Step Functions in the current account and region; returns the status and the JSON answer."""
    try:
        call = json.loads(text)
    except ValueError:
        return _error(_PROTOCOL_NAMESPACE, "SerializationException", "The request is not valid JSON")
    if not isinstance(call, dict) or not isinstance(call.get("input", ""), str):
        return _error(_PROTOCOL_NAMESPACE, "SerializationException", "A string was expected for the input")
    if "input" in call and not _is_json(call["input"]):
        return _error(_STATES_NAMESPACE, "InvalidExecutionInput", "Invalid State Machine Execution Input")
    # Half a surrogate pair has no UTF-8; Java sends a question mark for it.
    body = json.dumps(call, ensure_ascii=False).encode(errors="replace")
    status, _headers, answer = await stepfunctions.handle_request(
        "POST", "/", {"x-amz-target": f"AWSStepFunctions.{action}"}, body, {}
    )
    if status >= 400:
        error = json.loads(answer)
        return _error(_STATES_NAMESPACE, error["__type"], error["message"])
    return status, answer.decode()


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _error(namespace: str, error: str, message: str) -> tuple[int, str]:
    return 400, json.dumps({"__type": f"{namespace}#{error}", "message": message})


# --- The integration response ---


def integration_response(
    integration: Mapping[str, Any], status: int, answer: str, request: Request
) -> Response:
    """Map the integration's `status` and `answer` to the response of the method.

    Raises ConfigurationError when no integration response fits, or one maps a header from a source that is
    not known here; MappingTemplateError when its template cannot be rendered.
    """
    selected = apigateway_v1._select_service_integration_response(integration, status)
    if selected is None:
        raise ConfigurationError(f"no integration response matches status {status} and there is no default")
    templates: Mapping[str, str] = selected["responseTemplates"] or {}
    # AWS chooses by the request's Accept; the answer has the content type of the template.
    kind = _JSON if _JSON in templates else next(iter(templates), _JSON)
    template = templates.get(kind)
    rendering = Rendering(answer, None, {}) if template is None else request.render(template, answer)
    headers = {"content-type": kind}
    for destination, source in (selected["responseParameters"] or {}).items():
        headers[destination.removeprefix("method.response.header.").lower()] = _mapped(source, request)
    headers |= {name.lower(): value for name, value in rendering.headers.items()}
    mapped = {name: value for name, value in headers.items() if value}
    return rendering.status or int(selected["statusCode"]), mapped, rendering.text.encode(errors="replace")


def _mapped(source: str, request: Request) -> str:
    """The value of a response parameter's source; empty when there is none, which omits the header."""
    if source.startswith("'"):
        return source[1:-1]
    if source.startswith("context."):
        return request.render(f"${source}", "").text
    raise ConfigurationError(f"the source {source!r} of a response parameter is not known")
