"""Integrations of a REST API with Step Functions, such as `states:action/StartExecution`.

On AWS, an integration of the type `AWS` with the URI `arn:aws:apigateway:{region}:states:action/{Action}`
renders the request template for the content type, sends it to Step Functions as the JSON input of the action,
and returns the integration response whose pattern matches the status of that call. The emulator takes the URI
for the name of a Lambda function and returns 504. This module adds the integration for all actions.

Errors of the call have status 400 and the body `{"__type": "<namespace>#<Error>", "message": …}`, also when
it is throttled: SerializationException (the rendered template is not a JSON object, or its `input` is not a
string), InvalidExecutionInput, StateMachineDoesNotExist, ExecutionAlreadyExists … The permissions of the role
in `credentials` are not checked here.

Source: API Gateway developer guide, "Integrations for REST APIs", and Step Functions developer guide,
"Creating a Step Functions API using API Gateway".
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import apigateway_v1, stepfunctions

from devtools.emulator import patch
from devtools.emulator.mapping_template import MappingTemplateError, Parameters, Rendering, render
from devtools.emulator.request_validation import media_type

Response = tuple[int, dict[str, str], bytes]

_JSON = "application/json"
_STATES_NAMESPACE = "com.amazonaws.swf.service.v2.model"
_PROTOCOL_NAMESPACE = "com.amazon.coral.service"

logger = logging.getLogger(__name__)


class ConfigurationError(Exception):
    """The integration is not configured correctly: on AWS an `API_CONFIGURATION_ERROR`, status 500."""


@dataclass(frozen=True)
class Request:
    """What the templates of an API request can use."""

    body: str
    parameters: Parameters
    context: Mapping[str, Any]

    def render(self, template: str, body: str) -> Rendering:
        """Render a template with `body` as its `$input`. Raises MappingTemplateError."""
        return render(template, body=body, parameters=self.parameters, context=self.context)


def install() -> None:
    """Extend the emulator."""
    patch.wrap(apigateway_v1, "_invoke_lambda_custom_v1", _invoke)


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
            status, result = await _call_step_functions(action, call)
        return integration_response(integration, status, result, request)
    except (MappingTemplateError, ConfigurationError):
        logger.exception("the integration %s is not configured correctly", integration["uri"])
        return apigateway_v1._gw_error("API_CONFIGURATION_ERROR", "Internal server error")


def _request(args: tuple[Any, ...], options: dict[str, Any]) -> Request:
    """The request, taken from the event that the emulator builds for a Lambda function."""
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
    """The template for the request's content type, whose parameters, such as a charset, are ignored."""
    content_type = media_type(headers)
    templates: Mapping[str, str] = integration["requestTemplates"] or {}
    return next((text for key, text in templates.items() if key.lower() == content_type), None)


# --- The call of Step Functions ---


async def _call_step_functions(action: str, text: str) -> tuple[int, str]:
    """Call Step Functions in the current account and region; returns the status and the JSON body."""
    try:
        call = json.loads(text)
    except ValueError:
        return _error(_PROTOCOL_NAMESPACE, "SerializationException", "The request is not valid JSON")
    if not isinstance(call, dict) or not isinstance(call.get("input", ""), str):
        return _error(_PROTOCOL_NAMESPACE, "SerializationException", "A string was expected for the input")
    if "input" in call and not _is_json(call["input"]):
        return _error(_STATES_NAMESPACE, "InvalidExecutionInput", "Invalid State Machine Execution Input")
    # Half of a surrogate pair cannot be encoded in UTF-8; Java replaces it with a question mark.
    body = json.dumps(call, ensure_ascii=False).encode(errors="replace")
    status, _headers, result = await stepfunctions.handle_request(
        "POST", "/", {"x-amz-target": f"AWSStepFunctions.{action}"}, body, {}
    )
    if status >= 400:
        error = json.loads(result)
        return _error(_STATES_NAMESPACE, error["__type"], error["message"])
    return status, result.decode()


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
    integration: Mapping[str, Any], status: int, body: str, request: Request
) -> Response:
    """Map the `status` and `body` that the integration returned to the method's response.

    Raises ConfigurationError if no integration response matches, or if it maps a header from an unsupported
    source; MappingTemplateError if its template cannot be rendered.
    """
    selected = apigateway_v1._select_service_integration_response(integration, status)
    if selected is None:
        raise ConfigurationError(f"no integration response matches status {status}, and there is no default")
    templates: Mapping[str, str] = selected["responseTemplates"] or {}
    # AWS chooses by the request's Accept; the response has the content type of the template.
    content_type = _JSON if _JSON in templates else next(iter(templates), _JSON)
    template = templates.get(content_type)
    rendering = Rendering(body, None, {}) if template is None else request.render(template, body)
    headers = {"content-type": content_type}
    for destination, source in (selected["responseParameters"] or {}).items():
        headers[destination.removeprefix("method.response.header.").lower()] = _header_value(source, request)
    headers |= {name.lower(): value for name, value in rendering.headers.items()}
    headers = {name: value for name, value in headers.items() if value}
    return rendering.status or int(selected["statusCode"]), headers, rendering.text.encode(errors="replace")


def _header_value(source: str, request: Request) -> str:
    """The value of a response parameter's source; if it is empty, the header is omitted."""
    if source.startswith("'"):
        return source[1:-1]
    if source.startswith("context."):
        return request.render(f"${source}", "").text
    raise ConfigurationError(f"the source {source!r} of a response parameter is not supported")
