"""SAM creates one stage of the API, which always serves the last deployment."""

import copy
import json
from typing import Any

import pytest

from tests.infrastructure.rendering import render

type Document = dict[str, Any]


@pytest.fixture
def included(template: Document, openapi: Document) -> Document:
    """The template with the document in place of AWS::Include, as CloudFormation passes it to SAM."""
    document = copy.deepcopy(template)
    document["Resources"]["Api"]["Properties"]["DefinitionBody"] = copy.deepcopy(openapi)
    return document


def of_type(resources: Document, kind: str) -> dict[str, Document]:
    return {name: r["Properties"] for name, r in resources.items() if r["Type"] == kind}


def test_there_is_one_stage(included: Document) -> None:
    resources = render(included, Stage="prod")
    (stage,) = of_type(resources, "AWS::ApiGateway::Stage").values()
    deployments = of_type(resources, "AWS::ApiGateway::Deployment")
    assert stage["StageName"] == "prod"
    assert {"Ref": next(iter(deployments))} == stage["DeploymentId"]
    # A deployment with a stage name creates that stage.
    assert not [d for d in deployments.values() if "StageName" in d]


def test_the_document_reaches_api_gateway_unchanged(included: Document, openapi: Document) -> None:
    (api,) = of_type(render(included), "AWS::ApiGateway::RestApi").values()
    assert _strings(api["Body"]) == _strings(openapi)


def _strings(value: Any) -> Any:
    """A document without the references that rendering resolves, and with all numbers as strings."""
    if isinstance(value, dict):
        return {str(key): _strings(member) for key, member in value.items()}
    return [_strings(member) for member in value] if isinstance(value, list) else str(value)


def test_the_access_log_is_one_line_of_json_without_secrets_with_the_callers_values_first(
    included: Document,
) -> None:
    (stage,) = of_type(render(included), "AWS::ApiGateway::Stage").values()
    text = stage["AccessLogSetting"]["Format"]
    line = json.loads(text)

    assert "\n" not in text
    # No values of a path or a query, no claim, no token, and no message of API Gateway.
    assert line == {
        "userAgent": "$context.identity.userAgent",
        "requestId": "$context.requestId",
        "extendedRequestId": "$context.extendedRequestId",
        "time": "$context.requestTime",
        "method": "$context.httpMethod",
        "resourcePath": "$context.resourcePath",
        "status": "$context.status",
        "errorType": "$context.error.responseType",
        "firewall": "$context.wafResponseCode",
        "responseLength": "$context.responseLength",
        "latencyMs": "$context.responseLatency",
        "sourceIp": "$context.identity.sourceIp",
        "apiKeyId": "$context.identity.apiKeyId",
    }
    assert list(line)[:2] == ["userAgent", "requestId"]
    assert "${ApiAccessLogGroup}" in stage["AccessLogSetting"]["DestinationArn"]["Fn::Sub"]


def test_every_deployment_updates_the_api_of_the_stage(
    included: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SAM names the API's deployment by the time. The default name, a hash, ignores parameters."""

    def copies() -> set[str]:
        """The names of two deployments with a different minute and origin."""
        names = set()
        for minute, origin in enumerate(["https://a.example", "https://b.example"]):
            now = 1_800_000_000 + 60 * minute
            monkeypatch.setattr("samtranslator.model.apigateway.time.time", lambda now=now: now)
            resources = render(included, AllowedOrigin=origin)
            (stage,) = of_type(resources, "AWS::ApiGateway::Stage").values()
            names.add(stage["DeploymentId"]["Ref"])
        return names

    assert len(copies()) == 2
    included["Resources"]["Api"]["Properties"]["AlwaysDeploy"] = False
    assert len(copies()) == 1, "SAM sees changed parameters by itself now: AlwaysDeploy can go"
