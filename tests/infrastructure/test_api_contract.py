"""The HTTP contract is valid, protects the state machine, hides AWS's errors, and has uniform errors."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator

from devtools.emulator.mapping_template import Parameters
from devtools.emulator.step_functions_integration import Request, integration_response
from local import web_server
from support.api import problems
from support.aws.ticket_indexes import SUMMARY_FIELDS
from support.domain import ticket, ticket_types
from support.domain.analysis_schema import MAX_RESPONSE
from support.domain.plain_text import MAX_EXCERPT
from support.domain.ticket_document import camel_case

type Document = dict[str, Any]

PROJECT = Path(__file__).parents[2]
SUBMITTING = ["/support-request", "/service/support-request"]
HEADERS = {
    "Strict-Transport-Security": "'max-age=63072000; includeSubDomains'",
    "X-Content-Type-Options": "'nosniff'",
    "X-Frame-Options": "'DENY'",
    "Cache-Control": "'no-store'",
    "Content-Security-Policy": "'default-src 'none'; frame-ancestors 'none';'",
    "Access-Control-Allow-Origin": {"Fn::Sub": "'${AllowedOrigin}'"},
}
EXTENSION = "x-amazon-apigateway-integration"
ANY = "x-amazon-apigateway-any-method"


def operations(openapi: Document) -> Iterator[tuple[str, str, Document]]:
    for path, item in openapi["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield path, method, operation


def integration(openapi: Document, path: str) -> Document:
    return dict(openapi["paths"][path]["post"][EXTENSION])


def request_template(openapi: Document, path: str) -> str:
    return str(integration(openapi, path)["requestTemplates"]["application/json"]["Fn::Sub"])


def gateway_problem(response: Document) -> Document:
    text = response["responseTemplates"]["application/json"]
    return dict(json.loads(text.replace("$context.error.validationErrorString", "why")))


def test_it_is_valid_openapi(openapi: Document) -> None:
    OpenAPIV30SpecValidator(openapi).validate()


def bodies(openapi: Document) -> Iterator[tuple[str, Document]]:
    """The place of each documented request and response body, with its schema and examples."""
    shared = openapi["components"]["responses"]
    for path, method, operation in operations(openapi):
        described = {"request": operation.get("requestBody", {})} | operation["responses"]
        for name, body in described.items():
            resolved = shared[body["$ref"].rpartition("/")[2]] if "$ref" in body else body
            for media in resolved.get("content", {}).values():
                yield f"{method} {path} {name}", media


def test_every_body_has_an_example_and_every_example_is_valid(openapi: Document) -> None:
    for where, media in bodies(openapi):
        examples = [
            openapi["components"]["examples"][example["$ref"].rpartition("/")[2]]
            if "$ref" in example
            else example
            for example in media.get("examples", {"only": {"value": media.get("example")}}).values()
        ]
        assert examples, where
        for example in examples:
            schema = {**media["schema"], "components": openapi["components"]}
            jsonschema.validate(example["value"], schema)


@pytest.mark.parametrize("name", ["Submission", "ServiceSubmission"])
def test_the_maximum_lengths_are_those_of_the_code(openapi: Document, name: str) -> None:
    fields = openapi["components"]["schemas"][name]["properties"]
    assert (fields["content"]["minLength"], fields["content"]["maxLength"]) == (1, ticket.MAX_CONTENT)
    assert fields["subject"]["maxLength"] == ticket.MAX_SUBJECT
    assert fields["customerId"]["maxLength"] == ticket.MAX_CUSTOMER_ID


def test_only_a_service_may_set_priority_to_the_value_that_the_code_accepts(openapi: Document) -> None:
    schemas = openapi["components"]["schemas"]
    assert schemas["ServiceSubmission"]["properties"]["priority"] == {"$ref": "#/components/schemas/Priority"}
    assert "priority" not in schemas["ServiceSubmission"]["required"]
    assert "priority" not in schemas["Submission"]["properties"]
    for priority in (schemas["Priority"], schemas["Ticket"]["properties"]["priority"]):
        assert priority["enum"] == [ticket.HIGH_PRIORITY]


def test_the_maximum_length_of_a_ticket_id_is_that_of_the_code(openapi: Document) -> None:
    asked = openapi["components"]["parameters"]["TicketId"]["schema"]
    answered = openapi["components"]["schemas"]["Accepted"]["properties"]["ticketId"]
    assert asked["maxLength"] == answered["maxLength"] == ticket.MAX_TICKET_ID


def test_a_ticket_has_exactly_the_fields_that_the_code_has(openapi: Document) -> None:
    schemas = openapi["components"]["schemas"]
    assert set(schemas["Ticket"]["properties"]) == {
        camel_case(name) for name in ticket.Ticket.__dataclass_fields__
    }
    for name in ("Analysis", "Attempt", "Failure", "Feedback", "Reply"):
        assert set(schemas[name]["properties"]) == set(getattr(ticket_types, name).__annotations__)


def test_a_listed_ticket_has_the_fields_that_the_code_reads_and_an_excerpt(openapi: Document) -> None:
    properties = openapi["components"]["schemas"]["TicketSummary"]["properties"]
    assert properties["excerpt"]["maxLength"] == MAX_EXCERPT
    assert set(properties) - {"excerpt"} == set(SUMMARY_FIELDS) - {"content"}


def test_every_list_can_be_filtered_by_what_its_index_contains(template: Document) -> None:
    indexes = template["Resources"]["TicketsTable"]["Properties"]["GlobalSecondaryIndexes"]
    filters = ["urgency", "category", "needsReview"]
    assert {
        index["IndexName"]: index["Projection"]["NonKeyAttributes"]
        for index in indexes
        if index["IndexName"].startswith("By")
    } == {"ByTime": filters, "ByStatus": ["status", *filters], "ByCustomer": ["status", *filters]}


def test_the_guide_has_an_example_of_every_endpoint_and_names_every_type_of_error(openapi: Document) -> None:
    guide = (PROJECT / "docs" / "api.md").read_text()
    for path, method, operation in operations(openapi):
        if "operationId" in operation:
            assert f"`{method.upper()} {path}`" in guide
    for kind in openapi["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]:
        assert f"`{kind.removeprefix('urn:support-pipeline:')}`" in guide


def test_an_agents_reply_may_be_as_long_as_the_models(openapi: Document) -> None:
    text = openapi["components"]["schemas"]["ReplyApproval"]["properties"]["text"]
    assert (text["minLength"], text["maxLength"]) == (1, MAX_RESPONSE)


def test_customers_are_promised_no_draft(openapi: Document) -> None:
    schemas = openapi["components"]["schemas"]
    assert "response" not in schemas["Analysis"]["required"]
    assert "Staff only" in schemas["Analysis"]["properties"]["response"]["description"]
    assert "approvedBy" not in schemas["Reply"]["required"]


def test_api_gateway_validates_only_the_bodies_that_no_function_validates(openapi: Document) -> None:
    """Its messages say what is wrong with a value, but not which field has the value."""
    assert "x-amazon-apigateway-request-validator" not in openapi
    validated = {
        path
        for path, _, operation in operations(openapi)
        if operation.get("x-amazon-apigateway-request-validator") == "body"
    }
    with_body = {path for path, _, operation in operations(openapi) if "requestBody" in operation}
    proxied = {
        path for path, _, operation in operations(openapi) if operation[EXTENSION]["type"] == "aws_proxy"
    }
    assert validated == set(SUBMITTING) == with_body - proxied


@pytest.mark.parametrize("name", ["Submission", "ServiceSubmission"])
def test_the_answer_to_an_invalid_submission_names_every_field_and_what_it_may_be(
    openapi: Document, name: str
) -> None:
    response = openapi["x-amazon-apigateway-gateway-responses"]["BAD_REQUEST_BODY"]
    detail = gateway_problem(response)["detail"]
    for field, schema in openapi["components"]["schemas"][name]["properties"].items():
        assert field in detail
        assert str(schema.get("maxLength", f"priority may be {ticket.HIGH_PRIORITY}")) in detail
    assert detail.endswith("API Gateway says: why")


def test_every_operation_declares_security_except_preflights_and_unknown_paths(openapi: Document) -> None:
    """API Gateway ignores security at the root of the document: a method without its own is public."""
    assert "security" not in openapi
    for path, method, operation in operations(openapi):
        who: list[Document] = [{"customer": []}]
        if path == "/service/support-request":
            who = [{"service": [], "apiKey": []}]
        assert operation["security"] == ([] if method in {"options", ANY} else who), (path, method)


@pytest.mark.parametrize("path", ["/", "/{proxy+}"])
def test_a_mock_that_does_not_read_the_request_answers_unknown_paths(openapi: Document, path: str) -> None:
    assert openapi["paths"][path].keys() == {ANY}
    answer = openapi["paths"][path][ANY][EXTENSION]
    (response,) = answer["responses"].values()
    problem = json.loads(response["responseTemplates"]["application/json"])
    assert (answer["type"], response["statusCode"]) == ("mock", "404")
    assert (problem["type"], problem["status"]) == ("urn:support-pipeline:not-found", 404)
    assert "$" not in json.dumps([answer["requestTemplates"], response["responseTemplates"]])


@pytest.mark.parametrize("path", SUBMITTING)
def test_only_a_body_with_a_mapping_template_reaches_the_state_machine(openapi: Document, path: str) -> None:
    assert integration(openapi, path)["passthroughBehavior"] == "never"
    assert list(integration(openapi, path)["requestTemplates"]) == ["application/json"]
    assert "$input.body" not in request_template(openapi, path)
    assert "$input.json('$')" not in request_template(openapi, path)


def test_each_status_has_one_integration_response(openapi: Document) -> None:
    for path, method, operation in operations(openapi):
        statuses = [r["statusCode"] for r in operation[EXTENSION].get("responses", {}).values()]
        assert len(statuses) == len(set(statuses)), (path, method)


@pytest.mark.parametrize("path", SUBMITTING)
def test_no_response_contains_the_answer_of_step_functions(openapi: Document, path: str) -> None:
    for response in integration(openapi, path)["responses"].values():
        template = response["responseTemplates"]["application/json"]
        assert "$input.body" not in template
        assert "$input.json" not in template


@pytest.mark.parametrize("path", SUBMITTING)
@pytest.mark.parametrize(
    ("status", "error", "problem"),
    [
        (400, "com.amazon.coral.availability#ThrottlingException", "throttled"),
        (400, "com.amazonaws.swf.service.v2.model#StateMachineDoesNotExist", "unavailable"),
        (400, "AccessDeniedException", "unavailable"),
        (500, "InternalFailure", "unavailable"),
        (403, "UnrecognizedClientException", "unavailable"),
    ],
)
def test_a_refused_start_gets_our_own_problem_with_retry_after(
    openapi: Document, path: str, status: int, error: str, problem: str
) -> None:
    said = json.dumps({"__type": error, "message": "arn:aws:states:us-east-1:123456789012:stateMachine:x"})
    request = Request(body="{}", parameters=Parameters(), context={"requestId": "r"})
    responses = {
        pattern: {
            "selectionPattern": "" if pattern == "default" else pattern,
            **response,
            # CloudFormation has resolved these.
            "responseParameters": {
                name: value["Fn::Sub"] if isinstance(value, dict) else value
                for name, value in response["responseParameters"].items()
            },
        }
        for pattern, response in integration(openapi, path)["responses"].items()
    }

    code, headers, body = integration_response({"integrationResponses": responses}, status, said, request)

    assert (code, headers["retry-after"]) == ({"throttled": 429, "unavailable": 503}[problem], "5")
    assert json.loads(body)["type"] == f"urn:support-pipeline:{problem}"
    assert json.loads(body)["status"] == code
    assert b"arn:" not in body


def sent(response: Document, prefix: str) -> Document:
    mapped = response["responseParameters"]
    return {name.removeprefix(prefix): value for name, value in mapped.items()}


def test_every_response_of_the_gateway_has_the_security_headers_and_allows_one_origin(
    openapi: Document,
) -> None:
    answers = [
        (kind, sent(response, "gatewayresponse.header."))
        for kind, response in openapi["x-amazon-apigateway-gateway-responses"].items()
    ]
    for path, method, operation in operations(openapi):
        for pattern, response in operation[EXTENSION].get("responses", {}).items():
            answers.append((f"{method} {path} {pattern}", sent(response, "method.response.header.")))
    for where, headers in answers:
        assert HEADERS.items() <= headers.items(), where
        assert headers.keys() - HEADERS <= {
            "Content-Type",
            "Retry-After",
            "Access-Control-Expose-Headers",
            "Access-Control-Allow-Methods",
            "Access-Control-Allow-Headers",
            "Access-Control-Max-Age",
        }, where


def static_values(node: Any) -> Iterator[str]:
    """The header values of all responses, without the quotes."""
    for name, member in node.items() if isinstance(node, dict) else ():
        if name == "responseParameters":
            resolved = (v["Fn::Sub"] if isinstance(v, dict) else v for v in member.values())
            yield from (re.fullmatch("'(.*)'", value)[1] for value in resolved)  # type: ignore[index]
        else:
            yield from static_values(member)


def test_headers_are_static_and_do_not_end_with_a_quote(openapi: Document) -> None:
    """Some parsers remove a quote at the end."""
    values = {*static_values(openapi), *problems.HEADERS.values(), *web_server.UNREACHABLE_HEADERS.values()}
    assert "default-src 'none'; frame-ancestors 'none';" in values
    assert not {value for value in values if value[-1:] in {"'", '"'}}


def test_the_functions_send_the_same_headers_as_the_gateway() -> None:
    same = {name: str(value)[1:-1] for name, value in HEADERS.items() if isinstance(value, str)}
    assert same.items() <= problems.HEADERS.items()


def test_every_documented_response_declares_the_headers(openapi: Document) -> None:
    for path, method, operation in operations(openapi):
        for status, response in operation["responses"].items():
            reference = response.get("$ref", "").rpartition("/")[2]
            if reference == "TooLarge":
                continue  # API Gateway's own response
            declared = openapi["components"]["responses"][reference] if reference else response
            assert set(HEADERS) <= set(declared["headers"]), (path, method, status)
            assert ("Retry-After" in declared["headers"]) == (status in {"429", "503"}), (path, method)


def test_every_path_that_a_page_may_call_has_a_preflight(openapi: Document) -> None:
    for path, item in openapi["paths"].items():
        if path == "/service/support-request" or ANY in item:
            continue
        methods = {method.upper() for method in item if method != "parameters"}
        allowed = item["options"][EXTENSION]["responses"]["default"]["responseParameters"]
        assert (
            set(allowed["method.response.header.Access-Control-Allow-Methods"].strip("'").split(","))
            == methods
        )


def test_a_mock_accepts_every_content_type_that_a_page_can_send(openapi: Document) -> None:
    can_send = {
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "text/plain",
    }
    for path, method, operation in operations(openapi):
        if operation[EXTENSION]["type"] == "mock":
            status = 204 if method == "options" else 404
            templates = operation[EXTENSION]["requestTemplates"]
            assert templates == dict.fromkeys(can_send, f'{{"statusCode": {status}}}'), path
            assert operation[EXTENSION]["passthroughBehavior"] == "never", path


def test_every_gateway_response_is_a_problem_with_a_type_a_title_and_its_status(openapi: Document) -> None:
    titles: dict[str, str] = {p.type: p.title for p in problems.PROBLEMS}
    for kind, response in openapi["x-amazon-apigateway-gateway-responses"].items():
        problem = gateway_problem(response)
        assert problem["status"] == int(response["statusCode"]), kind
        assert titles.setdefault(problem["type"], problem["title"]) == problem["title"], kind
        assert sent(response, "gatewayresponse.header.")["Content-Type"] == "'application/problem+json'", kind


def test_gateway_responses_quote_nothing_of_the_request_except_validation_errors_of_the_body(
    openapi: Document,
) -> None:
    """$context.error.message quotes headers, possibly the token."""
    used = {
        kind: re.findall(r"\$[\w.{]+", response["responseTemplates"]["application/json"])
        for kind, response in openapi["x-amazon-apigateway-gateway-responses"].items()
    }
    assert {kind: names for kind, names in used.items() if names} == {
        "BAD_REQUEST_BODY": ["$context.error.validationErrorString"]
    }


def test_the_413_of_api_gateway_is_documented_as_it_is(openapi: Document) -> None:
    assert "REQUEST_TOO_LARGE" not in openapi["x-amazon-apigateway-gateway-responses"]
    declared = openapi["components"]["responses"]["TooLarge"]
    assert list(declared["content"]) == ["application/json"]
    assert "headers" not in declared


def test_the_contract_lists_exactly_the_problem_types_in_use(openapi: Document) -> None:
    named = set(openapi["components"]["schemas"]["Problem"]["properties"]["type"]["enum"])
    gateway = {gateway_problem(r)["type"] for r in openapi["x-amazon-apigateway-gateway-responses"].values()}
    assert named == gateway | {problem.type for problem in problems.PROBLEMS}


def test_every_temporary_refusal_has_retry_after(openapi: Document) -> None:
    for kind, response in openapi["x-amazon-apigateway-gateway-responses"].items():
        later = response["statusCode"] in {"429", "503"}
        assert ("Retry-After" in sent(response, "gatewayresponse.header.")) == later, kind
