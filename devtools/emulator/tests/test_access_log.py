"""The access log of a REST API's stage: one line for each request, whatever the caller sends."""

import json
import re
import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from devtools.emulator.tests.harness import REGION, ROLE, Emulator, eventually, http, unique

FORMAT = json.dumps(
    {
        "userAgent": "$context.identity.userAgent",
        "requestId": "$context.requestId",
        "extendedRequestId": "$context.extendedRequestId",
        "time": "$context.requestTime",
        "request": "$context.httpMethod $context.resourcePath",
        "status": "$context.status",
        "length": "$context.responseLength",
        "latency": "$context.responseLatency",
        "error": "$context.error.responseType",
        "ip": "$context.identity.sourceIp",
        "unset": "$context.wafResponseCode",
    }
)


def mock(**operation: Any) -> dict[str, Any]:
    templates = {"application/json": '{"ok": true}'}
    return {
        "responses": {"200": {"description": "ok"}},
        "x-amazon-apigateway-integration": {
            "type": "mock",
            "passthroughBehavior": "never",
            "requestTemplates": {"application/json": '{"statusCode": 200}'},
            "responses": {"default": {"statusCode": "200", "responseTemplates": templates}},
        },
        **operation,
    }


def resources(group: str, log_format: str, name: str = "logged") -> dict[str, Any]:
    body = {
        "openapi": "3.0.1",
        "info": {"title": name, "version": "1"},
        "paths": {
            "/items/{id}": {"get": mock()},
            "/signed": {"get": mock(security=[{"signature": []}])},
        },
        "components": {
            "securitySchemes": {
                "signature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "x-amazon-apigateway-authtype": "awsSigv4",
                }
            }
        },
    }
    api = {"Ref": "Api"}
    destination = f"arn:aws:logs:{REGION}:000000000000:log-group:{group}"
    return {
        "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": group}},
        "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": name, "Body": body}},
        "Deployment": {"Type": "AWS::ApiGateway::Deployment", "Properties": {"RestApiId": api}},
        "Stage": {
            "Type": "AWS::ApiGateway::Stage",
            "DependsOn": "Group",
            "Properties": {
                "RestApiId": api,
                "DeploymentId": {"Ref": "Deployment"},
                "StageName": "test",
                "AccessLogSetting": {"DestinationArn": destination, "Format": log_format},
            },
        },
    }


def set_role(emulator: Emulator, arn: str) -> None:
    change = {"op": "replace", "path": "/cloudwatchRoleArn", "value": arn}
    emulator.client("apigateway").update_account(patchOperations=[change])


@dataclass(frozen=True)
class Api:
    emulator: Emulator
    url: str
    group: str

    def lines(self) -> list[str]:
        events = self.emulator.client("logs").filter_log_events(logGroupName=self.group)["events"]
        return [event["message"] for event in events]

    def line_of_request(self, path: str, **headers: str) -> dict[str, str]:
        """Send a request; returns its line in the log."""
        before = len(self.lines())
        http.get(self.url + path, headers=headers)
        (line,) = eventually(lambda: self.lines()[before:])
        assert "\n" not in line
        return dict(json.loads(line))


@pytest.fixture(scope="module")
def api(emulator: Emulator) -> Api:
    set_role(emulator, ROLE)
    group = unique("/aws/apigateway/access")
    ids = emulator.deploy(unique("logged"), resources(group, FORMAT))
    return Api(emulator, f"{emulator.url}/_aws/execute-api/{ids['Api']}/test", group)


def test_each_request_has_a_line(api: Api) -> None:
    line = api.line_of_request(
        "/items/5?token=in-the-query", **{"User-Agent": "curl/8", "X-Forwarded-For": "1.2.3.4"}
    )
    uuid.UUID(line.pop("requestId"))
    assert line.pop("extendedRequestId").endswith("=")
    assert re.fullmatch(r"\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000", line.pop("time"))
    assert line.pop("latency").isdecimal()
    assert line == {
        "userAgent": "curl/8",
        "request": "GET /items/{id}",
        "status": "200",
        "length": str(len('{"ok": true}')),
        "error": "-",
        "ip": "1.2.3.4",
        "unset": "-",
    }


@pytest.mark.parametrize(
    ("path", "headers", "request_", "error"),
    [
        ("/nothing", {}, "GET -", "MISSING_AUTHENTICATION_TOKEN"),
        ("/nothing", {"Authorization": "Bearer secret"}, "GET -", "DEFAULT_4XX"),
        ("/signed", {}, "GET /signed", "MISSING_AUTHENTICATION_TOKEN"),
        ("/items/5", {"Content-Type": "text/html"}, "GET /items/{id}", "UNSUPPORTED_MEDIA_TYPE"),
    ],
)
def test_a_refused_request_is_logged_with_its_error(
    api: Api, path: str, headers: dict[str, str], request_: str, error: str
) -> None:
    line = api.line_of_request(path, **headers)
    assert (line["request"], line["error"]) == (request_, error)
    assert "secret" not in str(line)


HOSTILE = ['"', '\\"', '", "status": "200", "x": "', "\\", '"}\u00e9', "a" * 4000]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_caller_cannot_break_or_forge_a_line(api: Api, text: str) -> None:
    headers = {"User-Agent": text.encode("latin-1"), "X-Amzn-RequestId": text.encode("latin-1")}
    line = api.line_of_request("/nothing", **headers)  # type: ignore[arg-type]
    assert line.keys() == json.loads(FORMAT).keys()
    assert line["userAgent"] == text
    assert re.fullmatch(r"[0-9a-f-]{36}_REPLACED_INVALID_REQUEST_ID", line["requestId"])
    assert line["status"] == "403"


def test_a_request_id_that_is_a_uuid_is_kept(api: Api) -> None:
    chosen = str(uuid.uuid4())
    assert api.line_of_request("/items/5", **{"X-Amzn-RequestId": chosen})["requestId"] == chosen


@pytest.mark.parametrize(
    ("log_format", "reason"),
    [
        ("$context.status", "must include at least one of"),
        ("$context.requestId\n$context.status", "must be single line"),
    ],
)
def test_a_format_that_aws_refuses_makes_the_deployment_fail(api: Api, log_format: str, reason: str) -> None:
    with pytest.raises(AssertionError, match=reason):
        api.emulator.deploy(unique("refused"), resources(unique("/group"), log_format))


def test_the_deployment_fails_if_the_account_has_no_role(api: Api) -> None:
    set_role(api.emulator, "")
    try:
        with pytest.raises(AssertionError, match="CloudWatch Logs role ARN must be set in account settings"):
            api.emulator.deploy(unique("refused"), resources(unique("/group"), FORMAT))
    finally:
        set_role(api.emulator, ROLE)
