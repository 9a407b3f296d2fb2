"""Responses of Step Functions are mapped to responses of the API."""

import json
from typing import Any

import pytest

from devtools.emulator.mapping_template import MappingTemplateError, Parameters
from devtools.emulator.step_functions_integration import ConfigurationError, Request, integration_response

REQUEST = Request(
    body='{"content":"of the request"}',
    parameters=Parameters(header={"Idempotency-Key": "k-1"}),
    context={"requestId": "r-1"},
)
THROTTLED = json.dumps(
    {"__type": "com.amazon.coral.availability#ThrottlingException", "message": "Rate exceeded"}
)
REFUSED_TEMPLATE = """
#if($input.path('$.__type').endsWith('ThrottlingException'))
#set($context.responseOverride.status = 429)
#set($context.responseOverride.header.Retry-After = '1')
{"message": "busy", "id": "$context.requestId"}
#else
{"message": "failed", "key": "$input.params('Idempotency-Key')"}
#end
"""


def response(pattern: str, status: str, template: str | None = None, **headers: str) -> dict[str, Any]:
    return {
        "selectionPattern": pattern,
        "statusCode": status,
        "responseTemplates": {"application/json": template} if template is not None else {},
        "responseParameters": {f"method.response.header.{name}": source for name, source in headers.items()},
    }


def integration(*responses: dict[str, Any]) -> dict[str, Any]:
    return {"integrationResponses": dict(enumerate(responses))}


REFUSED = integration(response("400", "500", REFUSED_TEMPLATE), response("", "202"))


def test_a_throttled_call_can_return_429() -> None:
    status, headers, body = integration_response(REFUSED, 400, THROTTLED, REQUEST)
    assert (status, headers["retry-after"]) == (429, "1")
    assert json.loads(body) == {"message": "busy", "id": "r-1"}


def test_another_error_keeps_the_status_of_its_response() -> None:
    error = json.dumps({"__type": "com.amazonaws.swf.service.v2.model#StateMachineDoesNotExist"})
    status, headers, body = integration_response(REFUSED, 400, error, REQUEST)
    assert (status, "retry-after" in headers) == (500, False)
    assert json.loads(body) == {"message": "failed", "key": "k-1"}


def test_the_default_response_is_used_if_no_pattern_matches() -> None:
    responses = integration(response("", "500"), response("2..", "202"), response("4..", "500"))
    assert integration_response(responses, 200, "{}", REQUEST)[0] == 202
    assert integration_response(responses, 503, "{}", REQUEST)[0] == 500


def test_without_a_template_the_body_is_passed_on() -> None:
    assert integration_response(REFUSED, 200, '{"a":1}', REQUEST) == (
        202,
        {"content-type": "application/json"},
        b'{"a":1}',
    )


def test_response_parameters_set_headers() -> None:
    responses = integration(
        response(
            "",
            "202",
            "{}",
            Literal="'a, b'",
            Id="context.requestId",
            Missing="context.missing",
        )
    )
    headers = integration_response(responses, 200, "{}", REQUEST)[1]
    assert headers == {"content-type": "application/json", "literal": "a, b", "id": "r-1"}


@pytest.mark.parametrize(
    ("responses", "error"),
    [
        (integration(response("200", "202")), ConfigurationError),
        (integration(response("", "202", "{}", X="integration.request.body")), ConfigurationError),
        (integration(response("", "202", "$input.body.nope()")), MappingTemplateError),
    ],
)
def test_an_integration_that_is_not_configured_correctly_is_an_error(
    responses: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        integration_response(responses, 400, "{}", REQUEST)
