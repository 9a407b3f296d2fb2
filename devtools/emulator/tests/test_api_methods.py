"""Which methods a REST API has, who may call them, and the errors for others."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from devtools.emulator.tests.harness import REGION, Emulator, http, unique

PASSWORD = "Only-for-this-test-1"
TYPES = ("DEFAULT_4XX", "MISSING_AUTHENTICATION_TOKEN", "REQUEST_TOO_LARGE", "UNAUTHORIZED")


def mock(text: str, **operation: Any) -> dict[str, Any]:
    return {
        "responses": {"200": {"description": "ok"}},
        "x-amazon-apigateway-integration": {
            "type": "mock",
            "requestTemplates": {"application/json": '{"statusCode": 200}'},
            "responses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": text}}},
        },
        **operation,
    }


def document(pool_arn: str, **paths: Any) -> dict[str, Any]:
    template = '{"type": "$context.error.responseType", "detail": $context.error.messageString}'
    return {
        "openapi": "3.0.1",
        "info": {"title": "methods", "version": "1"},
        "security": [{"users": []}],
        "x-amazon-apigateway-gateway-responses": {
            kind: {"responseTemplates": {"application/json": template}} for kind in TYPES
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "users": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "x-amazon-apigateway-authtype": "cognito_user_pools",
                    "x-amazon-apigateway-authorizer": {
                        "type": "cognito_user_pools",
                        "providerARNs": [pool_arn],
                    },
                }
            }
        },
    }


def resources(body: dict[str, Any]) -> dict[str, Any]:
    api = {"Ref": "Api"}
    return {
        "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "methods", "Body": body}},
        "Deployment": {"Type": "AWS::ApiGateway::Deployment", "Properties": {"RestApiId": api}},
        "Stage": {
            "Type": "AWS::ApiGateway::Stage",
            "Properties": {"RestApiId": api, "DeploymentId": {"Ref": "Deployment"}, "StageName": "test"},
        },
    }


@dataclass(frozen=True)
class Api:
    url: str
    tokens: Mapping[str, str]


def sign_in(emulator: Emulator) -> tuple[str, dict[str, str]]:
    """Create a user pool and a user; returns the pool's ARN and the user's three tokens."""
    cognito = emulator.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName=unique("pool"))["UserPool"]["Id"]
    client = cognito.create_user_pool_client(
        UserPoolId=pool,
        ClientName="client",
        ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    )["UserPoolClient"]["ClientId"]
    cognito.admin_create_user(UserPoolId=pool, Username="somebody", MessageAction="SUPPRESS")
    cognito.admin_set_user_password(UserPoolId=pool, Username="somebody", Password=PASSWORD, Permanent=True)
    result = cognito.admin_initiate_auth(
        UserPoolId=pool,
        ClientId=client,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "somebody", "PASSWORD": PASSWORD},
    )["AuthenticationResult"]
    arn = f"arn:aws:cognito-idp:{REGION}:000000000000:userpool/{pool}"
    return arn, {kind: result[f"{kind}Token"] for kind in ("Id", "Access", "Refresh")}


@pytest.fixture(scope="module")
def api(emulator: Emulator) -> Api:
    arn, tokens = sign_in(emulator)
    body = document(
        arn,
        **{
            "/named": {"get": mock("named"), "x-amazon-apigateway-any-method": mock("any")},
            "/parent/child": {"get": mock("child")},
            "/users": {"get": mock("users", security=[{"users": []}])},
            "/scoped": {"get": mock("scoped", security=[{"users": ["aws.cognito.signin.user.admin"]}])},
            "/caught/{proxy+}": {"x-amazon-apigateway-any-method": mock("caught")},
        },
    )
    api_id = emulator.deploy(unique("methods"), resources(body))["Api"]
    return Api(f"{emulator.url}/_aws/execute-api/{api_id}/test", tokens)


# --- Methods ---


def test_a_method_without_security_is_public_whatever_the_security_of_the_document(api: Api) -> None:
    assert http.get(f"{api.url}/named").text == "named"


def test_any_includes_the_methods_that_are_not_named(api: Api) -> None:
    for method in ("DELETE", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"):
        response = http.request(method, f"{api.url}/named")
        assert (response.status_code, response.text) == (200, "" if method == "HEAD" else "any")
    assert http.request("PROPFIND", f"{api.url}/named").status_code == 403


def test_a_greedy_path_matches_every_path_and_method_below_it(api: Api) -> None:
    for path in ("/caught/a", "/caught/a/b/", "/caught/%2F"):
        assert httpx.delete(api.url + path).text == "caught"


# --- Unknown paths and methods ---


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("GET", "/parent"), ("PUT", "/users")])
def test_an_unknown_path_or_method_is_a_missing_authentication_token(
    api: Api, method: str, path: str
) -> None:
    response = http.request(method, api.url + path)
    assert (response.status_code, response.json()["type"]) == (403, "MISSING_AUTHENTICATION_TOKEN")


@pytest.mark.parametrize("authorization", ["Bearer abc", "abc", "Basic YTpi"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("PUT", "/users")])
def test_an_unknown_path_or_method_with_authorization_is_an_incomplete_signature(
    api: Api, method: str, path: str, authorization: str
) -> None:
    response = http.request(method, api.url + path, headers={"Authorization": authorization})
    assert (response.status_code, response.json()["type"]) == (403, "DEFAULT_4XX")
    assert response.headers["x-amzn-errortype"] == "IncompleteSignatureException"


def test_the_response_to_a_too_large_body_cannot_be_customized(api: Api) -> None:
    response = http.post(f"{api.url}/named", content=b"x" * (10 * 1024 * 1024 + 1), timeout=30)
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/json"
    assert json.loads(response.text) == {"message": "Request Too Long"}


# --- Tokens ---


@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [
        ("/users", "Id", 200),
        ("/users", "Access", 401),
        ("/users", "Refresh", 401),
        ("/scoped", "Id", 401),
        ("/scoped", "Access", 200),
        ("/scoped", "Refresh", 401),
    ],
)
def test_a_method_without_scopes_accepts_only_id_tokens_one_with_scopes_only_access_tokens(
    api: Api, path: str, kind: str, status: int
) -> None:
    response = http.get(api.url + path, headers={"Authorization": f"Bearer {api.tokens[kind]}"})
    assert response.status_code == status, response.text
    if status != 200:
        assert response.json()["type"] == "UNAUTHORIZED"
