"""Who may call a REST API, how often, and what it answers by itself (AUTH=true)."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from devtools.emulator.tests.harness import REGION, ROLE, Emulator, eventually, running, unique

CSP = "default-src 'none'; frame-ancestors 'none';"
IDENTITY = (
    '{"arn":"$context.identity.userArn","caller":"$context.identity.caller",'
    '"account":"$context.identity.accountId","accessKey":"$context.identity.accessKey",'
    '"key":"$context.identity.apiKeyId","ip":"$context.identity.sourceIp"}'
)
PROXY = """
def handler(event, context):
    if event["queryStringParameters"]:
        return eval(event["queryStringParameters"]["answer"])
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
    made: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"{self.emulator.url}/_aws/execute-api/{self.made['Api']}/test"

    def user(self, *, allowed: bool = True) -> Credentials:
        iam = self.emulator.client("iam")
        name = unique("user")
        iam.create_user(UserName=name)
        if allowed:
            iam.attach_user_policy(UserName=name, PolicyArn=self.made["Policy"])
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Credentials(key["AccessKeyId"], key["SecretAccessKey"])

    def key(self, plan: str | None = "Plan") -> dict[str, str]:
        client = self.emulator.client("apigateway")
        key: dict[str, str] = client.create_api_key(name=unique("key"), enabled=True)
        if plan:
            client.create_usage_plan_key(usagePlanId=self.made[plan], keyId=key["id"], keyType="API_KEY")
        return key


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("enforcing")
    settings = {"AUTH": "true", "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    with running(folder, **settings) as emulator:
        role(emulator, "any")
        machine = emulator.machine({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
        function = emulator.client("lambda").get_function(FunctionName=emulator.function(PROXY))
        body = document(machine, function["Configuration"]["FunctionArn"])
        made = emulator.deploy(unique("access"), resources(body), capabilities=["CAPABILITY_IAM"])
        yield Api(emulator, made)


def role(emulator: Emulator, name: str) -> str:
    """Create a role that anybody may assume; returns its ARN."""
    services = ["lambda.amazonaws.com", "states.amazonaws.com", "apigateway.amazonaws.com"]
    anybody = {"AWS": "*", "Service": services}
    trust = {"Effect": "Allow", "Principal": anybody, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    created = emulator.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)
    return str(created["Role"]["Arn"])


def send(url: str, credentials: Credentials, **changes: Any) -> httpx.Response:
    """A signed request; `sent_body`, `sent_headers` and `sent_url` take the place of what was signed."""
    body = changes.pop("body", b"{}")
    headers = {"Content-Type": "application/json"} | changes.pop("headers", {})
    request = AWSRequest(changes.pop("method", "POST"), url, headers, body)
    scope = (changes.pop("service", "execute-api"), changes.pop("region", REGION))
    SigV4Auth(credentials, *scope).add_auth(request)
    sent = dict(request.headers) | changes.pop("sent_headers", {})
    return httpx.request(
        request.method or "",
        changes.pop("sent_url", url),
        content=changes.pop("sent_body", body),
        headers=sent,
    )


def refusal(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-security-policy"] == CSP
    return answer.status_code, str(answer.json()["type"])


# --- Signatures ---


def test_a_signed_request_is_served_and_its_template_knows_the_caller(api: Api) -> None:
    user = api.user()
    answer = send(f"{api.url}/signed", user)
    assert answer.status_code == 200, answer.text
    who = answer.json()
    assert who["arn"].startswith("arn:aws:iam::000000000000:user/user-")
    assert (who["account"], who["accessKey"], who["key"]) == ("000000000000", user.access_key, "")
    assert who["caller"].startswith("AIDA")
    assert who["ip"] == "127.0.0.1"


def test_a_clients_own_address_may_be_signed_as_with_a_custom_domain(api: Api) -> None:
    seen = "http://localhost:3000/signed?b=2&a=%20%2F"
    sent = f"{api.url}/signed?b=2&a=%20%2F"
    user = api.user()
    host = {"Host": "localhost:3000"}
    assert send(seen, user, sent_url=sent, sent_headers=host).status_code == 200
    assert refusal(send(seen, user, sent_url=sent)) == (403, "INVALID_SIGNATURE")
    other = seen.replace("signed", "keyed")
    assert refusal(send(other, user, sent_url=sent, sent_headers=host)) == (403, "INVALID_SIGNATURE")


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


def test_a_session_signs_with_its_token(api: Api) -> None:
    name = unique("role")
    arn = role(api.emulator, name)
    api.emulator.client("iam").attach_role_policy(RoleName=name, PolicyArn=api.made["Policy"])
    assumed = api.emulator.client("sts").assume_role(RoleArn=arn, RoleSessionName="batch")
    keys = assumed["Credentials"]
    session = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])

    assert send(f"{api.url}/signed", session).json()["arn"].endswith(f":assumed-role/{name}/batch")
    without = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"])
    assert refusal(send(f"{api.url}/signed", without)) == (403, "DEFAULT_4XX")


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
def test_a_signature_that_does_not_fit_is_refused(api: Api, changes: dict[str, Any]) -> None:
    assert refusal(send(f"{api.url}/signed", api.user(), **changes)) == (403, "INVALID_SIGNATURE")


def test_an_old_signature_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    before = datetime.now(UTC) - timedelta(minutes=6)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: before)
    answer = send(f"{api.url}/signed", api.user())
    assert refusal(answer) == (403, "INVALID_SIGNATURE")
    assert "Signature expired" in answer.json()["detail"]


@pytest.mark.parametrize("access_key", ["no-such-key", "test", "testing", "000000000000"])
def test_an_unknown_access_key_is_refused(api: Api, access_key: str) -> None:
    answer = send(f"{api.url}/signed", Credentials(access_key, "testing"))
    assert refusal(answer) == (403, "DEFAULT_4XX")
    assert answer.json()["detail"] == "The security token included in the request is invalid."


def test_a_caller_without_permission_is_denied(api: Api) -> None:
    answer = send(f"{api.url}/signed", api.user(allowed=False))
    assert refusal(answer) == (403, "ACCESS_DENIED")
    assert "is not authorized to perform: execute-api:Invoke" in answer.json()["detail"]


@pytest.mark.parametrize("authorization", [None, "Bearer abc", "AWS4-HMAC-SHA256 x", "AWS AKIA:x", "\xff"])
def test_a_request_that_is_not_signed_is_refused(api: Api, authorization: str | None) -> None:
    headers = [(b"Authorization", authorization.encode("latin-1"))] if authorization else []
    answer = httpx.post(f"{api.url}/signed", content=b"{}", headers=headers)
    expected = "DEFAULT_4XX" if authorization else "MISSING_AUTHENTICATION_TOKEN"
    assert refusal(answer) == (403, expected)


def test_an_unknown_path_is_no_question_of_permission(api: Api) -> None:
    user = api.user(allowed=False)
    for method, path in [("POST", "/nothing"), ("DELETE", "/signed"), ("POST", "/signed/..")]:
        answer = send(api.url + path, user, method=method)
        assert refusal(answer) == (403, "MISSING_AUTHENTICATION_TOKEN")


def test_without_security_everybody_may_call_and_is_nobody(api: Api) -> None:
    headers = {"X-Forwarded-For": "1.2.3.4, 127.0.0.9"}
    who = httpx.post(f"{api.url}/open", content=b"{}", headers=headers).json()
    assert who == {"arn": "", "caller": "", "account": "", "accessKey": "", "key": "", "ip": "127.0.0.9"}


# --- API keys and limits ---


def test_a_method_may_ask_for_a_signature_and_a_key(api: Api) -> None:
    user, key = api.user(), api.key()
    answer = send(f"{api.url}/keyed", user, headers={"x-api-key": key["value"]})
    assert (answer.status_code, answer.json()["key"]) == (200, key["id"])
    assert refusal(send(f"{api.url}/keyed", user)) == (403, "INVALID_API_KEY")
    stranger = api.key(plan=None)["value"]
    assert refusal(send(f"{api.url}/keyed", user, headers={"x-api-key": stranger})) == (
        403,
        "INVALID_API_KEY",
    )
    unsigned = httpx.post(f"{api.url}/keyed", content=b"{}", headers={"x-api-key": key["value"]})
    assert refusal(unsigned) == (403, "MISSING_AUTHENTICATION_TOKEN")


def test_a_key_has_the_quota_of_its_plan(api: Api) -> None:
    user, headers = api.user(), {"x-api-key": api.key()["value"]}
    statuses = [send(f"{api.url}/keyed", user, headers=headers).status_code for _ in range(3)]
    assert statuses == [200, 200, 200]
    assert refusal(send(f"{api.url}/keyed", user, headers=headers)) == (429, "QUOTA_EXCEEDED")
    fresh = {"x-api-key": api.key()["value"]}
    assert send(f"{api.url}/keyed", user, headers=fresh).status_code == 200


def test_a_key_has_the_rate_of_its_plan(api: Api) -> None:
    user, headers = api.user(), {"x-api-key": api.key("StrictPlan")["value"]}
    assert send(f"{api.url}/keyed", user, headers=headers).status_code == 200
    assert refusal(send(f"{api.url}/keyed", user, headers=headers)) == (429, "THROTTLED")


def test_a_method_has_the_throttle_of_its_settings(api: Api) -> None:
    answers = [httpx.post(f"{api.url}/slow/{number}", content=b"{}") for number in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert refusal(answers[2]) == (429, "THROTTLED")
    assert httpx.post(f"{api.url}/open", content=b"{}").status_code == 200


def test_a_method_setting_with_plain_slashes_fails_the_deploy(api: Api) -> None:
    stack = resources(document("machine", "function"))
    stack["Stage"]["Properties"]["MethodSettings"][0]["ResourcePath"] = "/slow/{id}"
    with pytest.raises(AssertionError, match="Invalid method setting path: /slow/"):
        api.emulator.deploy(unique("refused"), stack, capabilities=["CAPABILITY_IAM"])


# --- What the API answers by itself ---


def test_a_preflight_request_gets_headers_and_no_body(api: Api) -> None:
    answer = httpx.options(f"{api.url}/signed", headers={"Origin": "http://localhost:3000"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["content-security-policy"] == CSP
    assert answer.headers["allow"] == "POST,OPTIONS"


def test_an_integration_answers_with_the_content_type_of_its_template(api: Api) -> None:
    answer = httpx.post(f"{api.url}/open", content=b"{}")
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_proxy_answers_for_itself(api: Api) -> None:
    answer = httpx.get(f"{api.url}/proxy")
    assert (answer.status_code, answer.text) == (201, "done")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


def test_a_proxy_sees_the_ids_of_the_answer(api: Api) -> None:
    code = "{'statusCode': 200, 'body': event['requestContext'][%r]}"
    for name, header in (("requestId", "x-amzn-requestid"), ("extendedRequestId", "x-amz-apigw-id")):
        answer = httpx.get(
            f"{api.url}/proxy", params={"answer": code % name}, headers={"X-Amzn-RequestId": "chosen"}
        )
        assert answer.text == answer.headers[header]
        assert (answer.text == "chosen") == (name == "requestId")


def test_a_proxy_sees_the_names_of_the_headers_as_they_were_sent(api: Api) -> None:
    code = "{'statusCode': 200, 'body': ' '.join([*event['headers'], *event['multiValueHeaders']])}"
    answer = httpx.get(f"{api.url}/proxy", params={"answer": code}, headers={"X-Mixed": "1", "x-lower": "2"})
    names = answer.text.split()
    assert (names.count("X-Mixed"), names.count("x-lower")) == (2, 2)


def test_a_bad_signature_is_refused_under_the_id_that_the_client_chose(api: Api) -> None:
    headers = {"X-Amzn-RequestId": "chosen", "Authorization": "AWS4-HMAC-SHA256 Credential=x"}
    answer = httpx.post(f"{api.url}/signed", headers=headers)
    assert answer.status_code == 403
    assert answer.headers["x-amzn-requestid"] == "chosen"
    assert answer.headers["x-amz-apigw-id"] not in ("", "chosen")


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
def test_a_proxy_that_fails_is_the_apis_fault(api: Api, code: str) -> None:
    answer = httpx.get(f"{api.url}/proxy", params={"answer": code})
    assert refusal(answer) == (503, "DEFAULT_5XX")
    assert answer.json()["detail"] == "Internal server error"


def test_an_odd_request_gets_a_gateway_response(api: Api) -> None:
    chunked = {"Content-Encoding": "aws-chunked", "X-Amz-Decoded-Content-Length": "1"}
    assert httpx.post(f"{api.url}/open", content=b"{}", headers=chunked).status_code == 200
    for path in ("/%00", "/%ff", "/%2e%2e/x", "//", "/" + "a" * 6000, "/?%ff=%00&&=;"):
        assert refusal(httpx.get(api.url + path)) == (403, "MISSING_AUTHENTICATION_TOKEN")
    for method in ("HEAD", "TRACE", "PROPFIND"):
        assert httpx.request(method, f"{api.url}/open").status_code == 403


# --- Roles ---


def test_a_functions_role_decides_what_it_may_do(api: Api) -> None:
    emulator = api.emulator
    queue = emulator.client("sqs").create_queue(QueueName=unique("queue"))["QueueUrl"]
    source = f"""
import boto3
def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl={queue!r}, MessageBody="x")
"""
    name = unique("role")
    arn = role(emulator, name)
    function = emulator.function(source)
    emulator.client("lambda").update_function_configuration(FunctionName=function, Role=arn)

    kind, error = emulator.invoke(function)
    assert (kind, error["errorType"]) == ("Unhandled", "ClientError")
    assert "AccessDenied" in error["errorMessage"]

    allow = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    emulator.client("iam").put_role_policy(RoleName=name, PolicyName="send", PolicyDocument=policy)
    assert eventually(lambda: emulator.invoke(function)[0] is None)
