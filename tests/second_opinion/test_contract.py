"""LocalStack's API Gateway stores the contract as the document says."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

type Document = dict[str, Any]

INTEGRATION = "x-amazon-apigateway-integration"
ANY = "x-amazon-apigateway-any-method"
# The authorization that LocalStack stores for each kind of security; AWS stores AWS_IAM for the second.
AUTHORIZATION = {"cognito_user_pools": "COGNITO_USER_POOLS", "awsSigv4": "NONE"}


@pytest.fixture(scope="module")
def resources(apigateway: Any, contract: Document) -> Iterator[Document]:
    """The stored resources, by path, each with its methods."""
    api = apigateway.import_rest_api(body=json.dumps(contract))["id"]
    pages = apigateway.get_paginator("get_resources").paginate(restApiId=api, embed=["methods"])
    yield {resource["path"]: resource for page in pages for resource in page["items"]}
    apigateway.delete_rest_api(restApiId=api)


def operations(contract: Document) -> Iterator[tuple[str, str, Document]]:
    for path, item in contract["paths"].items():
        for name, operation in item.items():
            if name != "parameters":
                yield path, "ANY" if name == ANY else name.upper(), operation


def stored_method(resources: Document, path: str, method: str) -> Document:
    return dict(resources[path]["resourceMethods"][method])


def test_exactly_the_operations_of_the_contract_are_stored(contract: Document, resources: Document) -> None:
    declared = {(path, method) for path, method, _ in operations(contract)}
    assert declared == {
        (path, method)
        for path, resource in resources.items()
        for method in resource.get("resourceMethods", {})
    }


def test_every_integration_is_stored_as_declared(contract: Document, resources: Document) -> None:
    for path, method, operation in operations(contract):
        stored = stored_method(resources, path, method)["methodIntegration"]
        assert stored["type"] == operation[INTEGRATION]["type"].upper(), (path, method)
        for name in ("uri", "httpMethod", "requestTemplates"):
            assert stored.get(name) == operation[INTEGRATION].get(name), (path, method, name)
        passthrough = operation[INTEGRATION].get("passthroughBehavior", "when_no_match").upper()
        assert stored["passthroughBehavior"] == passthrough, (path, method)


def test_every_integration_response_is_stored_as_declared(contract: Document, resources: Document) -> None:
    """Each status has only one: a second response with the same status would replace the first."""
    for path, method, operation in operations(contract):
        declared = operation[INTEGRATION].get("responses", {})
        stored = stored_method(resources, path, method)["methodIntegration"].get("integrationResponses", {})
        assert len(stored) == len(declared), (path, method)
        for pattern, response in declared.items():
            found = stored[response["statusCode"]]
            assert found.get("selectionPattern") == (None if pattern == "default" else pattern), (
                path,
                method,
            )
            for name in ("responseParameters", "responseTemplates"):
                assert (found.get(name) or {}) == response.get(name, {}), (path, method, pattern, name)


def test_every_header_that_an_integration_sets_is_declared(contract: Document, resources: Document) -> None:
    for path, method, _ in operations(contract):
        stored = stored_method(resources, path, method)
        for status, response in stored["methodIntegration"].get("integrationResponses", {}).items():
            declared = stored["methodResponses"][status].get("responseParameters", {})
            assert set(response.get("responseParameters") or {}) <= set(declared), (path, method, status)


def test_every_method_requires_the_declared_authorization(contract: Document, resources: Document) -> None:
    schemes = contract["components"]["securitySchemes"]
    for path, method, operation in operations(contract):
        names = [name for alternative in operation.get("security", []) for name in alternative]
        kinds = [schemes[name].get("x-amazon-apigateway-authtype") for name in names]
        expected = [AUTHORIZATION[kind] for kind in kinds if kind]
        stored = stored_method(resources, path, method)
        assert stored["authorizationType"] == (expected[0] if expected else "NONE"), (path, method)
        assert stored["apiKeyRequired"] == ("apiKey" in names), (path, method)
