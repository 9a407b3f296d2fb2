"""The HTTP contract: valid OpenAPI, safe towards the state machine, silent about AWS."""

import json
import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator

from local.emulator.mapping_template import Parameters
from local.emulator.start_execution import Request, integration_response
from support.domain import ticket

type Document = dict[str, Any]


def integration(openapi: Document) -> Document:
    return dict(openapi["paths"]["/support-request"]["post"]["x-amazon-apigateway-integration"])


def test_it_is_valid_openapi(openapi: Document) -> None:
    OpenAPIV30SpecValidator(openapi).validate()


def test_it_allows_exactly_the_lengths_that_the_code_allows(openapi: Document) -> None:
    fields = openapi["components"]["schemas"]["Submission"]["properties"]
    assert (fields["content"]["minLength"], fields["content"]["maxLength"]) == (1, ticket.MAX_CONTENT)
    assert fields["subject"]["maxLength"] == ticket.MAX_SUBJECT
    assert fields["customerId"]["maxLength"] == ticket.MAX_CUSTOMER_ID


def test_its_ticket_has_exactly_the_fields_of_the_codes_ticket(openapi: Document) -> None:
    document = openapi["components"]["schemas"]["Ticket"]["properties"]
    assert set(document) == {ticket._camel(name) for name in ticket.Ticket.__dataclass_fields__}
    assert set(openapi["components"]["schemas"]["Analysis"]["properties"]) == set(
        ticket.Analysis.__annotations__
    )
    assert set(openapi["components"]["schemas"]["Attempt"]["properties"]) == set(
        ticket.Attempt.__annotations__
    )
    assert set(openapi["components"]["schemas"]["Failure"]["properties"]) == set(
        ticket.Failure.__annotations__
    )


def test_every_operation_needs_a_signed_in_caller(openapi: Document) -> None:
    assert openapi["security"] == [{"customer": []}]
    assert not [o for path in openapi["paths"].values() for o in path.values() if "security" in o]


def test_only_a_body_that_a_template_reads_reaches_the_state_machine(openapi: Document) -> None:
    assert integration(openapi)["passthroughBehavior"] == "never"
    assert list(integration(openapi)["requestTemplates"]) == ["application/json"]
    template = integration(openapi)["requestTemplates"]["application/json"]["Fn::Sub"]
    assert "$input.body" not in template
    assert "$input.json('$')" not in template


def test_every_value_that_a_caller_chooses_is_escaped(openapi: Document) -> None:
    template = integration(openapi)["requestTemplates"]["application/json"]["Fn::Sub"]
    for name in ("content", "subject", "customerId"):
        assert f"${name} = $util.escapeJavaScript($input.json('$.{name}')).replaceAll(" in template


def test_request_and_response_agree_on_the_tickets_id(openapi: Document) -> None:
    request = integration(openapi)["requestTemplates"]["application/json"]["Fn::Sub"]
    response = integration(openapi)["responses"]["200"]["responseTemplates"]["application/json"]
    chosen = re.compile(r"(#set\(\$key.*?#end)", re.DOTALL)
    assert chosen.search(request)[1] == chosen.search(response)[1]  # type: ignore[index]


def test_no_answer_shows_what_step_functions_said(openapi: Document) -> None:
    for response in integration(openapi)["responses"].values():
        template = response["responseTemplates"]["application/json"]
        assert "$input.body" not in template
        assert "$input.json" not in template


def test_every_refusal_that_a_retry_may_mend_says_when(openapi: Document) -> None:
    responses = integration(openapi)["responses"]
    refusals = [responses["4\\d{2}"], responses["default"]]
    assert all(r["responseParameters"]["method.response.header.Retry-After"] == "'5'" for r in refusals)
    gateway = openapi["x-amazon-apigateway-gateway-responses"]
    for kind in ("THROTTLED", "DEFAULT_5XX"):
        assert gateway[kind]["responseParameters"]["gatewayresponse.header.Retry-After"] == "'5'"


@pytest.mark.parametrize(
    ("status", "error", "answered"),
    [
        (400, "com.amazon.coral.availability#ThrottlingException", 429),
        (400, "com.amazonaws.swf.service.v2.model#StateMachineDoesNotExist", 503),
        (400, "AccessDeniedException", 503),
        (500, "InternalFailure", 503),
        (403, "UnrecognizedClientException", 503),
    ],
)
def test_a_start_that_aws_refuses_asks_for_a_retry_in_our_own_words(
    openapi: Document, status: int, error: str, answered: int
) -> None:
    said = json.dumps({"__type": error, "message": "arn:aws:states:us-east-1:123456789012:stateMachine:x"})
    request = Request(body="{}", parameters=Parameters(), context={"requestId": "r"})
    responses = {
        pattern: {"selectionPattern": "" if pattern == "default" else pattern, **response}
        for pattern, response in integration(openapi)["responses"].items()
    }

    code, headers, body = integration_response({"integrationResponses": responses}, status, said, request)

    assert (code, headers["retry-after"]) == (answered, "5")
    assert json.loads(body).keys() == {"message"}
    assert b"arn:" not in body


def test_every_gateway_response_is_json(openapi: Document) -> None:
    for kind, response in openapi["x-amazon-apigateway-gateway-responses"].items():
        text = response["responseTemplates"]["application/json"]
        rendered = text.replace("$context.error.messageString", '"why"').replace(
            "$context.error.validationErrorString", "why"
        )
        assert json.loads(rendered)["message"], kind
