"""A REST API that CloudFormation creates from an OpenAPI document."""

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from devtools.emulator.tests.harness import REGION, ROLE, Emulator, http, unique

INPUT_TEMPLATE = r"""
#set($content = $util.escapeJavaScript($input.json('$.content')).replaceAll("\\'", "'"))
#set($subject = $util.escapeJavaScript($input.json('$.subject')).replaceAll("\\'", "'"))
#set($key = $input.params('Idempotency-Key'))
{
  "stateMachineArn": "MACHINE",
  "name": "$context.requestId",
  "input": "{INPUT}"
}
"""
INPUT = ",".join(
    (
        r"\"ticketId\":\"#if($key && $key.matches('[0-9a-f-]{36}'))$key#else$context.requestId#end\"",
        r"\"receivedAt\":$context.requestTimeEpoch",
        r"\"path\":\"$context.httpMethod $context.resourcePath $context.stage\"",
        r"\"caller\":\"$context.authorizer.claims.sub\"",
        r"\"subject\":$subject",
        r"\"content\":$content",
    )
)
ACCEPTED_TEMPLATE = """
#set($context.responseOverride.header.X-Started = $input.path('$.executionArn'))
{
  "requestId": "$context.requestId",
  "extended": "$context.extendedRequestId",
  "key": "$input.params('Idempotency-Key')"
}
"""
REFUSED_TEMPLATE = """
#if($input.path('$.__type').contains('ThrottlingException'))
#set($context.responseOverride.status = 429)
#set($context.responseOverride.header.Retry-After = '1')
#end
{"message": "refused"}
"""


# passthroughBehavior of a mock integration → status for a content type without a template.
MOCKS = {"never": 415, "when_no_templates": 415, "when_no_match": 500}


def mock(behavior: str) -> dict[str, Any]:
    integration = {
        "type": "mock",
        "passthroughBehavior": behavior,
        "requestTemplates": {
            "application/json": '{"statusCode": 200}',
            "text/plain": '{"statusCode": 202}',
            "text/csv": "{}",
        },
        "responses": {"200": {"statusCode": "200"}, "2..": {"statusCode": "202"}},
    }
    return {
        "responses": {"200": {"description": "ok"}, "202": {"description": "ok"}},
        "x-amazon-apigateway-request-validator": "none",
        "x-amazon-apigateway-integration": integration,
    }


def document(machine: str) -> dict[str, Any]:
    headers = {name: {"schema": {"type": "string"}} for name in ("X-Request-Id", "X-Kind")}
    integration = {
        "type": "aws",
        "httpMethod": "POST",
        "uri": f"arn:aws:apigateway:{REGION}:states:action/StartExecution",
        "credentials": ROLE,
        "passthroughBehavior": "never",
        "requestTemplates": {
            "application/json": INPUT_TEMPLATE.replace("MACHINE", machine).replace("INPUT", INPUT)
        },
        "responses": {
            "default": {
                "statusCode": "500",
                "responseTemplates": {"application/json": '{"message": "failed"}'},
            },
            "200": {
                "statusCode": "202",
                "responseParameters": {
                    "method.response.header.X-Request-Id": "context.requestId",
                    "method.response.header.X-Kind": "'ticket'",
                },
                "responseTemplates": {"application/json": ACCEPTED_TEMPLATE},
            },
            "400": {"statusCode": "503", "responseTemplates": {"application/json": REFUSED_TEMPLATE}},
        },
    }
    post = {
        "operationId": "createTicket",
        "parameters": [{"name": "dry", "in": "query", "required": False, "schema": {"type": "boolean"}}],
        "requestBody": {
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Submission"}}}
        },
        "responses": {
            "202": {"description": "accepted", "headers": headers},
            "500": {"description": "failed"},
            "503": {"description": "refused"},
        },
        "x-amazon-apigateway-integration": integration,
    }
    raw = {
        "type": "AWS",
        "httpMethod": "POST",
        "uri": integration["uri"],
        "responses": {"default": {"statusCode": "500"}, "2..": {"statusCode": "202"}},
    }
    return {
        "openapi": "3.0.1",
        "info": {"title": "tickets", "version": "1"},
        "x-amazon-apigateway-request-validator": "all",
        "x-amazon-apigateway-request-validators": {
            "all": {"validateRequestBody": True, "validateRequestParameters": True},
            "none": {"validateRequestBody": False, "validateRequestParameters": False},
        },
        "x-amazon-apigateway-gateway-responses": {
            "BAD_REQUEST_BODY": {
                "statusCode": 422,
                "responseParameters": {"gatewayresponse.header.X-Kind": "'invalid'"},
                "responseTemplates": {
                    "application/json": '{"message":$context.error.messageString,'
                    '"detail":"$context.error.validationErrorString"}'
                },
            },
            "BAD_REQUEST_PARAMETERS": {
                "responseTemplates": {
                    "application/json": '{"detail":"${context.error.validationErrorString}"}'
                },
            },
        },
        "paths": {
            "/tickets": {"post": post},
            "/unchecked": {"post": {**post, "x-amazon-apigateway-request-validator": "none"}},
            **{f"/mock-{behavior}": {"get": mock(behavior)} for behavior in MOCKS},
            "/needs/{id}": {
                "parameters": [{"$ref": "#/components/parameters/Id"}],
                "get": {
                    "parameters": [{"name": "since", "in": "query", "required": True}],
                    "responses": {"200": {"description": "ok"}},
                    "x-amazon-apigateway-integration": {
                        "type": "mock",
                        "requestTemplates": {"application/json": '{"statusCode": 200}'},
                        "responses": {
                            "default": {
                                "statusCode": "200",
                                "responseTemplates": {"application/json": '{"ok":true}'},
                            }
                        },
                    },
                },
            },
            "/raw": {
                "post": {
                    **post,
                    "x-amazon-apigateway-request-validator": "none",
                    "x-amazon-apigateway-integration": raw,
                }
            },
            "/dated": {
                "post": {**post, "parameters": [{"name": "since", "in": "query", "required": True}]},
            },
        },
        "components": {
            "parameters": {"Id": {"name": "id", "in": "path", "required": True}},
            "schemas": {
                "Content": {"type": "string", "minLength": 1, "maxLength": 8000},
                "Submission": {
                    "type": "object",
                    "required": ["content"],
                    "additionalProperties": False,
                    "properties": {
                        "content": {"$ref": "#/components/schemas/Content"},
                        "subject": {"type": "string"},
                        "urgency": {"type": "string", "enum": ["LOW", "HIGH"]},
                        "nested": {"type": "array", "items": {"$ref": "#/components/schemas/Content"}},
                    },
                },
            },
        },
    }


def resources(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "tickets", "Body": body}},
        "Deployment": {"Type": "AWS::ApiGateway::Deployment", "Properties": {"RestApiId": {"Ref": "Api"}}},
        "Stage": {
            "Type": "AWS::ApiGateway::Stage",
            "Properties": {
                "RestApiId": {"Ref": "Api"},
                "DeploymentId": {"Ref": "Deployment"},
                "StageName": "test",
            },
        },
    }


@pytest.fixture(scope="module")
def machine(emulator: Emulator) -> str:
    return emulator.create_state_machine({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})


Post = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def base(emulator: Emulator, machine: str) -> str:
    api = emulator.deploy(unique("api"), resources(document(machine)))["Api"]
    return f"{emulator.url}/_aws/execute-api/{api}/test"


@pytest.fixture
def submit(base: str) -> Post:
    def post(body: Any, path: str = "/tickets", **options: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": "application/json", **options.pop("headers", {})}
        return http.post(base + path, content=content, headers=headers, **options)

    return post


# --- The execution's input ---

HOSTILE = [
    "plain",
    "a \"quoted\" word, it's \\ and / and \\\" and \\' and \\\\'",
    "line\r\nline\ttab\b\f\0\x1f\x7f",
    "😀 \U0001d54f é \u2028\u2029\ufeff",
    "مرحبا \u202eright to left\u202c",
    "@@ ${x} $input.body #set($x=1) $!{y} ## #* *# #end #if( $$ \\$context.requestId \\#",
    "</ticket> {\"content\": 1} ]} States.Format('{}')",
    "😀" * 8000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=[text[:12] for text in HOSTILE[:-1]] + ["long"])
def test_any_text_reaches_the_execution_unchanged(emulator: Emulator, submit: Post, text: str) -> None:
    response = submit({"content": text, "subject": text.partition("\n")[0]})
    assert response.status_code == 202, response.text
    received = json.loads(emulator.wait_for_end(response.headers["x-started"])["input"])
    assert (received["content"], received["subject"]) == (text, text.partition("\n")[0])


def test_half_of_a_surrogate_pair_becomes_a_question_mark(emulator: Emulator, submit: Post) -> None:
    response = submit(b'{"content": "half \\ud83d"}')
    assert json.loads(emulator.wait_for_end(response.headers["x-started"])["input"])["content"] == "half ?"


def test_the_input_contains_the_context_and_empty_strings_for_missing_values(
    emulator: Emulator, submit: Post
) -> None:
    response = submit({"content": "x"})
    execution = emulator.wait_for_end(response.headers["x-started"])
    received = json.loads(execution["input"])
    assert received.pop("receivedAt") // 1000 == pytest.approx(execution["startDate"].timestamp(), abs=5)
    assert received == {
        "ticketId": response.headers["x-amzn-requestid"],
        "path": "POST /tickets test",
        "caller": "",
        "subject": "",
        "content": "x",
    }


def test_input_name_body_and_headers_have_the_same_request_id(emulator: Emulator, submit: Post) -> None:
    response = submit({"content": "x"})
    request_id = response.headers["x-amzn-requestid"]
    assert re.fullmatch("[0-9a-f-]{36}", request_id)
    assert response.json()["requestId"] == response.headers["x-request-id"] == request_id
    assert response.headers["x-started"].split(":")[-2] == request_id
    assert response.json()["extended"] == response.headers["x-amz-apigw-id"]


@pytest.mark.parametrize("chosen", ["x", '"', "a b", "x" * 2000, "é😀"])
def test_the_client_can_choose_the_request_id(submit: Post, chosen: str) -> None:
    response = submit({"content": "x"}, headers={"X-Amzn-RequestId": chosen.encode()})
    raw = {name.lower(): value for name, value in response.headers.raw}
    assert raw[b"x-amzn-requestid"].decode() == chosen


@pytest.mark.parametrize("path", ["/tickets", "/unknown"])
def test_every_response_has_an_extended_request_id_that_the_client_cannot_choose(
    submit: Post, path: str
) -> None:
    headers = {"x-amz-apigw-id": "mine", "x-amzn-RequestId": "mine"}
    responses = [submit(body, path, headers=headers) for body in ({"content": "x"}, {}, {"content": "x"})]
    assert len({response.headers["x-amz-apigw-id"] for response in responses}) == len(responses)
    assert all(
        re.fullmatch("[A-Za-z0-9+/]{15}=", response.headers["x-amz-apigw-id"]) for response in responses
    )


def test_both_templates_can_use_the_parameters_of_the_request(emulator: Emulator, submit: Post) -> None:
    key = "0b0cf3c6-2bb1-4a5e-8a51-7d4f60a4c111"
    response = submit({"content": "x"}, headers={"Idempotency-Key": key})
    assert response.json()["key"] == key
    assert json.loads(emulator.wait_for_end(response.headers["x-started"])["input"])["ticketId"] == key


@pytest.mark.parametrize("spelled", ["idempotency-key", "IDEMPOTENCY-KEY", "Idempotency-key"])
def test_header_names_are_case_sensitive(submit: Post, spelled: str) -> None:
    assert submit({"content": "x"}, headers={spelled: "k"}).json()["key"] == ""


def test_a_response_has_the_headers_that_its_parameters_map(submit: Post) -> None:
    response = submit({"content": "x"})
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-kind"] == "ticket"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b'{"content": "x"}'),
        ("text/plain", b"not JSON"),
        ("text/plain; charset=utf-8", b"{}"),
        ("application/x-www-form-urlencoded", b"content=x"),
    ],
)
def test_a_content_type_without_a_template_is_refused_whatever_the_body(
    submit: Post, content_type: str, body: bytes
) -> None:
    response = submit(body, headers={"content-type": content_type})
    assert response.status_code == 415, response.text
    assert response.headers["x-amzn-requestid"]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (b'{"input": "unended', "com.amazon.coral.service#SerializationException"),
        (b"[]", "com.amazon.coral.service#SerializationException"),
        (b'{"input": {}}', "com.amazon.coral.service#SerializationException"),
        (b'{"input": "{"}', "com.amazonaws.swf.service.v2.model#InvalidExecutionInput"),
        (b'{"stateMachineArn": "arn:x"}', "com.amazonaws.swf.service.v2.model#StateMachineDoesNotExist"),
    ],
)
def test_an_error_of_the_call_has_the_name_that_it_has_on_aws(submit: Post, call: bytes, error: str) -> None:
    response = submit(call, "/raw")  # no template: the body is the call
    assert (response.status_code, response.json()["__type"]) == (500, error)


# --- Validation ---

VALIDATION_ERRORS = [
    (b"{}", '[object has missing required properties (["content"])]'),
    (b"[]", '[instance type (array) does not match any allowed primitive type (allowed: ["object"])]'),
    (
        b'{"content": 1}',
        '[instance type (integer) does not match any allowed primitive type (allowed: ["string"])]',
    ),
    (b'{"content": ""}', '[string "" is too short (length: 0, required minimum: 1)]'),
    (
        b'{"content": "x", "urgency": "NOW"}',
        '[instance value ("NOW") not found in enum (possible values: ["LOW","HIGH"])]',
    ),
    (
        b'{"content": "x", "zz": 1, "yy": 2}',
        '[object instance has properties which are not allowed by the schema: ["yy","zz"]]',
    ),
    (b'{"content": "x", "nested": [""]}', '[string "" is too short (length: 0, required minimum: 1)]'),
    (b'{"content": ', "[the body is not valid JSON: Expecting value (line 1, column 13)]"),
    (b'{"content": "\xff"}', "[the body is not valid UTF-8]"),
    (b"", "[the body is not valid JSON: Expecting value (line 1, column 1)]"),
    (b'{"content": NaN}', "[the body is not valid JSON: NaN is not a number]"),
    ('{"content": "x"}'.encode("utf-16-le"), "[the body is not valid JSON: Expecting property name"),
    (b'\xef\xbb\xbf{"content": "x"}', "[the body is not valid JSON: Unexpected UTF-8 BOM"),
    (b'{"content": ' + b"9" * 5000 + b"}", "[the body is not valid JSON: Exceeds the limit"),
    (b'{"content": ' + b"[" * 10**5 + b"]" * 10**5 + b"}", "[the body is nested too deeply]"),
]


@pytest.mark.parametrize(("body", "error"), VALIDATION_ERRORS)
def test_an_invalid_body_is_refused_with_the_validation_errors(submit: Post, body: bytes, error: str) -> None:
    response = submit(body)
    assert response.status_code == 422
    assert response.headers["x-kind"] == "invalid"
    assert response.json()["message"] == "Invalid request body"
    assert response.json()["detail"].startswith(error)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", None])
def test_a_body_is_validated_whatever_the_spelling_of_its_content_type(
    base: str, content_type: str | None
) -> None:
    headers = {"content-type": content_type} if content_type else {}
    assert http.post(f"{base}/tickets", content=b"{}", headers=headers).status_code == 422
    assert http.post(f"{base}/tickets", content=b'{"content":"x"}', headers=headers).status_code == 202


def test_parameters_are_checked_before_the_content_type(submit: Post) -> None:
    text = {"content-type": "text/plain"}
    assert submit(b"not JSON", "/dated", headers=text).status_code == 400
    assert submit(b"not JSON", "/dated?since=2", headers=text).status_code == 415
    assert submit(b"not JSON", "/dated?since=2").status_code == 422


def test_validation_errors_are_short_whatever_the_body(submit: Post) -> None:
    names = {f'"}}{i}\n😀"' * 30: 1 for i in range(300)}
    for body in ({"content": "😀" * 9000}, {"content": "x", **names}, {"content": "x", "nested": [""] * 999}):
        detail = submit(body).json()["detail"]
        assert 0 < len(detail) <= 500
    assert "(length: 9000, maximum allowed: 8000)" in submit({"content": "😀" * 9000}).json()["detail"]


def test_a_method_can_have_another_validator(submit: Post) -> None:
    assert submit({"unknown": 1}, "/unchecked").status_code == 202


def test_a_missing_required_parameter_is_refused(base: str) -> None:
    response = http.get(f"{base}/needs/1")
    assert response.status_code == 400
    assert response.json() == {"detail": "Missing required request parameters: [since]"}
    assert http.get(f"{base}/needs/1?since=2").json() == {"ok": True}


# --- Mocks ---


@pytest.mark.parametrize("behavior", MOCKS)
def test_a_mock_responds_with_the_template_for_the_content_type(base: str, behavior: str) -> None:
    statuses = {
        None: 200,
        "application/json": 200,
        "Application/JSON;charset=utf-8": 200,
        "text/plain; charset=utf-8": 202,
        "text/csv": 500,
        "text/html": MOCKS[behavior],
    }
    for content_type, status in statuses.items():
        headers = {"content-type": content_type} if content_type else {}
        assert http.get(f"{base}/mock-{behavior}", headers=headers).status_code == status, content_type


# --- The import ---


def test_the_whole_integration_is_imported(emulator: Emulator, base: str) -> None:
    client = emulator.client("apigateway")
    api = base.split("/")[-2]
    items = client.get_resources(restApiId=api)["items"]
    resource = next(item["id"] for item in items if item["path"] == "/tickets")
    method = client.get_method(restApiId=api, resourceId=resource, httpMethod="POST")
    assert method["requestParameters"] == {"method.request.querystring.dry": False}
    assert method["requestModels"] == {"application/json": "Submission"}
    assert method["methodResponses"]["202"]["responseParameters"].keys() == {
        "method.response.header.X-Request-Id",
        "method.response.header.X-Kind",
    }
    integration = method["methodIntegration"]
    assert (integration["credentials"], integration["passthroughBehavior"]) == (ROLE, "NEVER")
    responses = integration["integrationResponses"].values()
    assert {(r.get("selectionPattern") or "", r["statusCode"]) for r in responses} == {
        ("", "500"),
        ("200", "202"),
        ("400", "503"),
    }


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ({"statusCode": "418"}, "an integration response has status 418, which the method does not declare"),
        (
            {"statusCode": "500"},
            "the integration responses 'default' and '4..' both have status 500: "
            "API Gateway keeps only one response for each status",
        ),
        (
            {"statusCode": "500", "responseParameters": {"method.response.header.X-No": "'x'"}},
            "Invalid mapping expression parameter specified: method.response.header.X-No for status 500",
        ),
    ],
)
def test_an_integration_response_that_aws_would_refuse_or_drop_makes_the_deployment_fail(
    emulator: Emulator, machine: str, response: dict[str, Any], reason: str
) -> None:
    body = document(machine)
    integration = body["paths"]["/tickets"]["post"]["x-amazon-apigateway-integration"]
    integration["responses"]["4.."] = response
    with pytest.raises(AssertionError, match=re.escape(reason)):
        emulator.deploy(unique("refused"), resources(body))


def test_an_undefined_validator_makes_the_deployment_fail(emulator: Emulator, machine: str) -> None:
    body = document(machine) | {"x-amazon-apigateway-request-validator": "unknown"}
    with pytest.raises(AssertionError, match="the request validator 'unknown' is not defined"):
        emulator.deploy(unique("refused"), resources(body))
