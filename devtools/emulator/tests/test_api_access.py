"""Who may call a REST API and how often, and the responses of API Gateway itself (AUTH=true)."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from devtools.emulator.tests.harness import REGION, ROLE, ROOT, Emulator, eventually, http, policy, unique

CSP = "default-src 'none'; frame-ancestors 'none';"
IDENTITY = (
    '{"arn":"$context.identity.userArn","caller":"$context.identity.caller",'
    '"account":"$context.identity.accountId","accessKey":"$context.identity.accessKey",'
    '"key":"$context.identity.apiKeyId","ip":"$context.identity.sourceIp"}'
)
PROXY = """
def handler(event, context):
    if event["queryStringParameters"]:
        return eval(event["queryStringParameters"]["code"])
    return {"statusCode": 201, "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]}, "body": "done"}
"""
TYPES = (
    "ACCESS_DENIED",
    "INVALID_SIGNATURE",
    "INVALID_API_KEY",
    "MISSING_AUTHENTICATION_TOKEN",
    "THROTTLED",
    "QUOTA_EXCEEDED",
    "DEFAULT_4XX",
)


def gateway_response(kind: str, **settings: Any) -> dict[str, Any]:
    template = f'{{"type":"{kind}","detail":$context.error.messageString}}'
    headers = {"gatewayresponse.header.Content-Security-Policy": f"'{CSP}'"}
    return {
        "responseParameters": headers,
        "responseTemplates": {"application/problem+json": template},
        **settings,
    }


def mock(status: str = "204", **response: Any) -> dict[str, Any]:
    return {
        "type": "mock",
        "requestTemplates": {"application/json": f'{{"statusCode": {status}}}'},
        "responses": {"default": {"statusCode": status, **response}},
    }


def whoami(machine: str) -> dict[str, Any]:
    call = json.dumps({"stateMachineArn": machine, "input": "{}"})
    return {
        "type": "aws",
        "httpMethod": "POST",
        "uri": f"arn:aws:apigateway:{REGION}:states:action/StartExecution",
        "credentials": ROLE,
        "requestTemplates": {"application/json": call},
        "responses": {
            "default": {"statusCode": "200", "responseTemplates": {"application/problem+json": IDENTITY}}
        },
    }


def document(machine: str, function_arn: str) -> dict[str, Any]:
    ok = {"responses": {"200": {"description": "ok"}}}
    who = {**ok, "x-amazon-apigateway-integration": whoami(machine)}
    headers = {name: {"schema": {"type": "string"}} for name in ("Content-Security-Policy", "Allow")}
    parameters = {
        "method.response.header.Content-Security-Policy": f"'{CSP}'",
        "method.response.header.Allow": "'POST,OPTIONS'",
    }
    preflight = {
        "security": [],
        "responses": {"204": {"description": "ok", "headers": headers}},
        "x-amazon-apigateway-integration": mock(responseParameters=parameters),
    }
    proxy = {
        "type": "aws_proxy",
        "httpMethod": "POST",
        "uri": f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function_arn}/invocations",
    }
    tokens = {"type": "apiKey", "in": "header"}
    return {
        "openapi": "3.0.1",
        "info": {"title": "access", "version": "1"},
        "x-amazon-apigateway-gateway-responses": {kind: gateway_response(kind) for kind in TYPES}
        | {"DEFAULT_5XX": gateway_response("DEFAULT_5XX", statusCode="503")},
        "paths": {
            "/signed": {"post": {**who, "security": [{"service": []}]}, "options": preflight},
            "/keyed": {"post": {**who, "security": [{"service": [], "key": []}]}},
            "/open": {"post": {**who, "security": []}},
            "/slow/{id}": {"post": {**who, "security": []}},
            "/proxy": {"get": {**ok, "security": [], "x-amazon-apigateway-integration": proxy}},
        },
        "components": {
            "securitySchemes": {
                "service": {
                    **tokens,
                    "name": "Authorization",
                    "x-amazon-apigateway-authtype": "awsSigv4",
                },
                "key": {**tokens, "name": "x-api-key"},
            }
        },
    }


def resources(body: dict[str, Any]) -> dict[str, Any]:
    api = {"Ref": "Api"}
    slow = {"ResourcePath": "/~1slow~1{id}", "HttpMethod": "POST"}
    limits = {"ThrottlingRateLimit": "0.001", "ThrottlingBurstLimit": "2"}
    return {
        "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "access", "Body": body}},
        "Deployment": {"Type": "AWS::ApiGateway::Deployment", "Properties": {"RestApiId": api}},
        "Stage": {
            "Type": "AWS::ApiGateway::Stage",
            "Properties": {
                "RestApiId": api,
                "DeploymentId": {"Ref": "Deployment"},
                "StageName": "test",
                "MethodSettings": [slow | limits],
            },
        },
        "Plan": {
            "Type": "AWS::ApiGateway::UsagePlan",
            "Properties": {
                "ApiStages": [{"ApiId": api, "Stage": {"Ref": "Stage"}}],
                "Throttle": {"RateLimit": "1000", "BurstLimit": "1000"},
                "Quota": {"Limit": "3", "Period": "DAY"},
            },
        },
        "StrictPlan": {
            "Type": "AWS::ApiGateway::UsagePlan",
            "Properties": {
                "ApiStages": [{"ApiId": api, "Stage": {"Ref": "Stage"}}],
                "Throttle": {"RateLimit": "0.001", "BurstLimit": "1"},
            },
        },
        "Policy": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Action": "execute-api:Invoke",
                            "Resource": {
                                "Fn::Sub": f"arn:aws:execute-api:{REGION}:000000000000:${{Api}}/test/POST/*"
                            },
                        }
                    ],
                }
            },
        },
    }


@dataclass(frozen=True)
class Api:
    emulator: Emulator
    ids: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"{self.emulator.url}/_aws/execute-api/{self.ids['Api']}/test"

    def user(self, *, allowed: bool = True) -> Credentials:
        name, credentials = self.emulator.create_user()
        if allowed:
            iam = self.emulator.client("iam")
            iam.attach_user_policy(UserName=name, PolicyArn=self.ids["Policy"])
        return credentials

    def key(self, plan: str | None = "Plan") -> dict[str, str]:
        client = self.emulator.client("apigateway")
        key: dict[str, str] = client.create_api_key(name=unique("key"), enabled=True)
        if plan:
            client.create_usage_plan_key(usagePlanId=self.ids[plan], keyId=key["id"], keyType="API_KEY")
        return key


@pytest.fixture(scope="module")
def api(authorizing_emulator: Emulator) -> Api:
    emulator = authorizing_emulator
    machine = emulator.create_state_machine({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    function = emulator.client("lambda").get_function(FunctionName=emulator.create_function(PROXY))
    body = document(machine, function["Configuration"]["FunctionArn"])
    return Api(emulator, emulator.deploy(unique("access"), resources(body), capabilities=["CAPABILITY_IAM"]))


def send(url: str, credentials: Credentials, **changes: Any) -> httpx.Response:
    """Send a signed request; `sent_body`, `sent_headers` and `sent_url` replace what was signed."""
    body = changes.pop("body", b"{}")
    headers = {"Content-Type": "application/json"} | changes.pop("headers", {})
    request = AWSRequest(changes.pop("method", "POST"), url, headers, body)
    scope = (changes.pop("service", "execute-api"), changes.pop("region", REGION))
    SigV4Auth(credentials, *scope).add_auth(request)
    sent = dict(request.headers) | changes.pop("sent_headers", {})
    return http.request(
        request.method or "",
        changes.pop("sent_url", url),
        content=changes.pop("sent_body", body),
        headers=sent,
    )


def error_of(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["content-security-policy"] == CSP
    return response.status_code, str(response.json()["type"])


# --- Signatures ---


def test_a_signed_request_succeeds_and_its_template_knows_the_caller(api: Api) -> None:
    user = api.user()
    response = send(f"{api.url}/signed", user)
    assert response.status_code == 200, response.text
    who = response.json()
    assert who["arn"].startswith("arn:aws:iam::000000000000:user/user-")
    assert (who["account"], who["accessKey"], who["key"]) == ("000000000000", user.access_key, "")
    assert who["caller"].startswith("AIDA")
    assert who["ip"] == "127.0.0.1"


def test_the_path_that_the_client_sees_may_be_signed_as_with_a_custom_domain(api: Api) -> None:
    signed = "http://localhost:3000/signed?b=2&a=%20%2F"
    sent = f"{api.url}/signed?b=2&a=%20%2F"
    user = api.user()
    host = {"Host": "localhost:3000"}
    assert send(signed, user, sent_url=sent, sent_headers=host).status_code == 200
    assert error_of(send(signed, user, sent_url=sent)) == (403, "INVALID_SIGNATURE")
    other = signed.replace("signed", "keyed")
    assert error_of(send(other, user, sent_url=sent, sent_headers=host)) == (403, "INVALID_SIGNATURE")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_can_sign(api: Api) -> None:
    user = api.user()
    arguments = [
        "--aws-sigv4",
        f"aws:amz:{REGION}:execute-api",
        "--user",
        f"{user.access_key}:{user.secret_key}",
    ]
    done = subprocess.run(
        ["curl", "-s", *arguments, "-H", "Content-Type: application/json", "-d", "{}", f"{api.url}/signed"],
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["accessKey"] == user.access_key


def test_a_role_session_signs_with_its_token(api: Api) -> None:
    name = unique("role")
    arn = api.emulator.create_role(name)
    api.emulator.client("iam").attach_role_policy(RoleName=name, PolicyArn=api.ids["Policy"])
    assumed = api.emulator.client("sts").assume_role(RoleArn=arn, RoleSessionName="batch")
    keys = assumed["Credentials"]
    session = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])

    assert send(f"{api.url}/signed", session).json()["arn"].endswith(f":assumed-role/{name}/batch")
    without = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"])
    assert error_of(send(f"{api.url}/signed", without)) == (403, "DEFAULT_4XX")


@pytest.mark.parametrize(
    "changes",
    [
        {"sent_body": b'{"changed": 1}'},
        {"sent_headers": {"X-Amz-Date": "20200101T000000Z"}},
        {"service": "states"},
        {"region": "us-west-2"},
        {"headers": {"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}},
    ],
    ids=["another body", "another time", "another service", "another region", "an unsigned body"],
)
def test_a_signature_that_does_not_match_is_refused(api: Api, changes: dict[str, Any]) -> None:
    assert error_of(send(f"{api.url}/signed", api.user(), **changes)) == (403, "INVALID_SIGNATURE")


def test_an_old_signature_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    before = datetime.now(UTC) - timedelta(minutes=6)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: before)
    response = send(f"{api.url}/signed", api.user())
    assert error_of(response) == (403, "INVALID_SIGNATURE")
    assert "Signature expired" in response.json()["detail"]


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials("no-such-key", "secret"),
        Credentials("test", "test"),
        ROOT,
        Credentials("000000000000", "test"),
    ],
    ids=["unknown", "test", "root", "account"],
)
def test_an_unknown_access_key_and_the_emulators_own_are_refused(api: Api, credentials: Credentials) -> None:
    response = send(f"{api.url}/signed", credentials)
    assert error_of(response) == (403, "DEFAULT_4XX")
    assert response.json()["detail"] == "The security token included in the request is invalid."


def test_a_caller_without_permission_is_denied(api: Api) -> None:
    response = send(f"{api.url}/signed", api.user(allowed=False))
    assert error_of(response) == (403, "ACCESS_DENIED")
    assert "is not authorized to perform: execute-api:Invoke" in response.json()["detail"]


@pytest.mark.parametrize("authorization", [None, "Bearer abc", "AWS4-HMAC-SHA256 x", "AWS AKIA:x", "\xff"])
def test_a_request_that_is_not_signed_is_refused(api: Api, authorization: str | None) -> None:
    headers = [(b"Authorization", authorization.encode("latin-1"))] if authorization else []
    response = http.post(f"{api.url}/signed", content=b"{}", headers=headers)
    expected = "DEFAULT_4XX" if authorization else "MISSING_AUTHENTICATION_TOKEN"
    assert error_of(response) == (403, expected)


def test_an_unknown_path_requires_no_permission(api: Api) -> None:
    user = api.user(allowed=False)
    for method, path in [("POST", "/nothing"), ("DELETE", "/signed"), ("POST", "/signed/..")]:
        response = send(api.url + path, user, method=method)
        assert error_of(response) == (403, "MISSING_AUTHENTICATION_TOKEN")


def test_a_method_without_security_is_public_and_its_caller_anonymous(api: Api) -> None:
    headers = {"X-Forwarded-For": "1.2.3.4, 127.0.0.9"}
    who = http.post(f"{api.url}/open", content=b"{}", headers=headers).json()
    assert who == {"arn": "", "caller": "", "account": "", "accessKey": "", "key": "", "ip": "127.0.0.9"}


# --- API keys and limits ---


def test_a_method_may_require_a_signature_and_an_api_key(api: Api) -> None:
    user, key = api.user(), api.key()
    response = send(f"{api.url}/keyed", user, headers={"x-api-key": key["value"]})
    assert (response.status_code, response.json()["key"]) == (200, key["id"])
    assert error_of(send(f"{api.url}/keyed", user)) == (403, "INVALID_API_KEY")
    stranger = api.key(plan=None)["value"]
    assert error_of(send(f"{api.url}/keyed", user, headers={"x-api-key": stranger})) == (
        403,
        "INVALID_API_KEY",
    )
    unsigned = http.post(f"{api.url}/keyed", content=b"{}", headers={"x-api-key": key["value"]})
    assert error_of(unsigned) == (403, "MISSING_AUTHENTICATION_TOKEN")


def test_an_api_key_has_the_quota_of_its_usage_plan(api: Api) -> None:
    user, headers = api.user(), {"x-api-key": api.key()["value"]}
    statuses = [send(f"{api.url}/keyed", user, headers=headers).status_code for _ in range(3)]
    assert statuses == [200, 200, 200]
    assert error_of(send(f"{api.url}/keyed", user, headers=headers)) == (429, "QUOTA_EXCEEDED")
    fresh = {"x-api-key": api.key()["value"]}
    assert send(f"{api.url}/keyed", user, headers=fresh).status_code == 200


def test_an_api_key_has_the_rate_limit_of_its_usage_plan(api: Api) -> None:
    user, headers = api.user(), {"x-api-key": api.key("StrictPlan")["value"]}
    assert send(f"{api.url}/keyed", user, headers=headers).status_code == 200
    assert error_of(send(f"{api.url}/keyed", user, headers=headers)) == (429, "THROTTLED")


def test_a_method_has_the_rate_limit_of_its_settings(api: Api) -> None:
    responses = [http.post(f"{api.url}/slow/{number}", content=b"{}") for number in range(3)]
    assert [response.status_code for response in responses] == [200, 200, 429]
    assert error_of(responses[2]) == (429, "THROTTLED")
    assert http.post(f"{api.url}/open", content=b"{}").status_code == 200


def test_a_method_setting_with_plain_slashes_makes_the_deployment_fail(api: Api) -> None:
    stack = resources(document("machine", "function"))
    stack["Stage"]["Properties"]["MethodSettings"][0]["ResourcePath"] = "/slow/{id}"
    with pytest.raises(AssertionError, match="Invalid method setting path: /slow/"):
        api.emulator.deploy(unique("refused"), stack, capabilities=["CAPABILITY_IAM"])


# --- Responses of API Gateway itself ---


def test_a_preflight_request_gets_headers_and_no_body(api: Api) -> None:
    response = httpx.options(f"{api.url}/signed", headers={"Origin": "http://localhost:3000"})
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["content-security-policy"] == CSP
    assert response.headers["allow"] == "POST,OPTIONS"


def test_a_response_has_the_content_type_of_its_template(api: Api) -> None:
    response = http.post(f"{api.url}/open", content=b"{}")
    assert response.headers["content-type"] == "application/problem+json"


def test_a_proxys_response_is_passed_on(api: Api) -> None:
    response = http.get(f"{api.url}/proxy")
    assert (response.status_code, response.text) == (201, "done")
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]


def test_a_proxy_gets_the_ids_of_the_response(api: Api) -> None:
    code = "{'statusCode': 200, 'body': event['requestContext'][%r]}"
    for name, header in (("requestId", "x-amzn-requestid"), ("extendedRequestId", "x-amz-apigw-id")):
        response = http.get(
            f"{api.url}/proxy", params={"code": code % name}, headers={"X-Amzn-RequestId": "chosen"}
        )
        assert response.text == response.headers[header]
        assert (response.text == "chosen") == (name == "requestId")


def test_a_proxy_gets_the_header_names_as_they_were_sent(api: Api) -> None:
    code = "{'statusCode': 200, 'body': ' '.join([*event['headers'], *event['multiValueHeaders']])}"
    response = http.get(f"{api.url}/proxy", params={"code": code}, headers={"X-Mixed": "1", "x-lower": "2"})
    names = response.text.split()
    assert (names.count("X-Mixed"), names.count("x-lower")) == (2, 2)


def test_the_error_for_an_invalid_signature_has_the_id_that_the_client_chose(api: Api) -> None:
    headers = {"X-Amzn-RequestId": "chosen", "Authorization": "AWS4-HMAC-SHA256 Credential=x"}
    response = http.post(f"{api.url}/signed", headers=headers)
    assert response.status_code == 403
    assert response.headers["x-amzn-requestid"] == "chosen"
    assert response.headers["x-amz-apigw-id"] not in ("", "chosen")


@pytest.mark.parametrize(
    "code",
    [
        "1 / 0",
        "__import__('os')._exit(1)",
        "'text'",
        "None",
        "{}",
        "{'statusCode': 'no'}",
        "{'statusCode': 99}",
        "{'statusCode': 200, 'body': {}}",
        "{'statusCode': 200, 'headers': []}",
        "{'statusCode': 200, 'headers': {'a': {}}}",
    ],
)
def test_a_proxy_that_fails_is_an_error_of_the_api(api: Api, code: str) -> None:
    response = http.get(f"{api.url}/proxy", params={"code": code})
    assert error_of(response) == (503, "DEFAULT_5XX")
    assert response.json()["detail"] == "Internal server error"


def test_an_unusual_request_gets_a_gateway_response(api: Api) -> None:
    chunked = {"Content-Encoding": "aws-chunked", "X-Amz-Decoded-Content-Length": "1"}
    assert http.post(f"{api.url}/open", content=b"{}", headers=chunked).status_code == 200
    for path in ("/%00", "/%ff", "/%2e%2e/x", "//", "/" + "a" * 6000, "/?%ff=%00&&=;"):
        assert error_of(http.get(api.url + path)) == (403, "MISSING_AUTHENTICATION_TOKEN")
    for method in ("HEAD", "TRACE", "PROPFIND"):
        assert http.request(method, f"{api.url}/open").status_code == 403


# --- Roles ---


def test_a_functions_role_determines_what_it_may_do(api: Api) -> None:
    emulator = api.emulator
    queue, _ = emulator.create_queue()
    source = f"""
import boto3
def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl={queue!r}, MessageBody="x")
"""
    name = unique("role")
    arn = emulator.create_role(name)
    function = emulator.create_function(source, Role=arn)

    kind, error = emulator.invoke(function)
    assert (kind, error["errorType"]) == ("Unhandled", "ClientError")
    assert "AccessDenied" in error["errorMessage"]

    allow = policy({"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"})
    emulator.client("iam").put_role_policy(RoleName=name, PolicyName="send", PolicyDocument=allow)
    assert eventually(lambda: emulator.invoke(function)[0] is None)
