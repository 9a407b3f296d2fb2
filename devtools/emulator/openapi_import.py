"""The import of an OpenAPI document into a REST API (`Body` of AWS::ApiGateway::RestApi).

AWS imports the whole document. The emulator imports paths and authorizers and, of an integration, only its
type, method and URI. This module adds the rest: request validators, models, request parameters, integrations,
integration responses, method responses and gateway responses. Like AWS, it refuses to deploy an integration
response whose status or header the method does not declare. API Gateway keeps only one integration response
for each status and silently drops a second one; here that is refused as well.

API Gateway uses the `security` of each operation, but not that at the root of the document. The emulator uses
both, so that a method that is public on AWS would require a token. API Gateway imports
`x-amazon-apigateway-any-method` as the method ANY, which the emulator ignores.

Source: API Gateway developer guide, "Amazon API Gateway important notes" ("API Gateway doesn't use root level
security defined in the OpenAPI specification. Hence security needs to be defined at an operation level to be
appropriately applied.").
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ministack.services import apigateway_v1

from devtools.emulator import patch

Json = dict[str, Any]

_RESPONSE_HEADER = "method.response.header."
_LOCATIONS = {"query": "querystring", "header": "header", "path": "path"}
_ANY_METHOD = "x-amazon-apigateway-any-method"
_SCHEMA_REF = re.compile(r"#/components/schemas/([^/]+)")


class OpenApiError(ValueError):
    """AWS would refuse this document."""


def install() -> None:
    """Extend the emulator."""
    methods = {*getattr(apigateway_v1, "_OPENAPI_HTTP_METHODS", ()), "any"}
    patch.replace(apigateway_v1, "_OPENAPI_HTTP_METHODS", methods)
    patch.wrap(apigateway_v1, "_import_rest_api", _import_rest_api)


def _import_rest_api(original: Callable[..., str], spec: Json, base_data: Json | None = None) -> str:
    paths = {path: _path_item(item) for path, item in (spec.get("paths") or {}).items()}
    spec = {**spec, "paths": paths, "security": []}
    api_id = original(spec, base_data)
    document = _Document(api_id, spec)
    document.import_settings()
    for path, method, operation in document.operations():
        document.complete_operation(path, method, operation)
    return api_id


def _path_item(item: Json) -> Json:
    return {"any" if name == _ANY_METHOD else name: member for name, member in item.items()}


def _checked(response: tuple[int, Json, bytes]) -> Json:
    """The body of a control-plane response. Raises OpenApiError for an error."""
    status, _headers, body = response
    content: Json = json.loads(body)
    if status >= 400:
        raise OpenApiError(content["message"])
    return content


@dataclass
class _Document:
    """An OpenAPI 3.0 document, and the API that the emulator created from its paths."""

    api_id: str
    spec: Json
    validator_ids: dict[str, str] = field(default_factory=dict)

    def import_settings(self) -> None:
        """Import the document-level settings: models, validators, gateway responses."""
        for name, schema in self.spec.get("components", {}).get("schemas", {}).items():
            self._create_model(name, schema)
        for name, flags in self.spec.get("x-amazon-apigateway-request-validators", {}).items():
            validator = apigateway_v1._create_request_validator(self.api_id, {"name": name, **flags})
            self.validator_ids[name] = _checked(validator)["id"]
        for kind, response in self.spec.get("x-amazon-apigateway-gateway-responses", {}).items():
            _checked(apigateway_v1._put_gateway_response(self.api_id, kind, response))

    def operations(self) -> Iterator[tuple[str, str, Json]]:
        """Path, method and operation; the parameters of the path are added to those of the operation."""
        for path, item in self.spec["paths"].items():
            for method, operation in item.items():
                if method.lower() in apigateway_v1._OPENAPI_HTTP_METHODS:
                    parameters = [*item.get("parameters", []), *operation.get("parameters", [])]
                    yield path, method.upper(), {**operation, "parameters": parameters}

    def complete_operation(self, path: str, method: str, operation: Json) -> None:
        """Add to an imported method what the emulator left out."""
        resources = apigateway_v1._resources[self.api_id].values()
        resource = next(r for r in resources if r["path"] == "/" + path.strip("/"))
        parameters = [self._resolved(parameter) for parameter in operation["parameters"]]
        resource["resourceMethods"][method] |= {
            "operationName": operation.get("operationId", ""),
            "requestParameters": _request_parameters(parameters),
            "requestModels": self._models(operation.get("requestBody", {})),
            "requestValidatorId": self._validator_id(operation),
        }
        target = (self.api_id, resource["id"], method)
        responses = self._method_responses(operation)
        for status, response in responses.items():
            _checked(apigateway_v1._put_method_response(*target, status, response))
        integration = operation.get("x-amazon-apigateway-integration")
        if integration:
            _put_integration(target, integration, responses)

    def _validator_id(self, operation: Json) -> str | None:
        key = "x-amazon-apigateway-request-validator"
        name = operation.get(key, self.spec.get(key))
        if name is None:
            return None
        if name not in self.validator_ids:
            raise OpenApiError(f"the request validator {name!r} is not defined")
        return self.validator_ids[name]

    def _method_responses(self, operation: Json) -> dict[str, Json]:
        """Status → method response. API Gateway ignores OpenAPI's `default`."""
        responses = {
            str(status): self._resolved(response)
            for status, response in operation.get("responses", {}).items()
        }
        return {
            status: {
                "responseParameters": {_RESPONSE_HEADER + h: False for h in response.get("headers", {})},
                "responseModels": self._models(response),
            }
            for status, response in responses.items()
            if status != "default"
        }

    def _models(self, body: Json) -> dict[str, str]:
        """Content type → name of the model, of a request body or a response."""
        content = self._resolved(body).get("content", {}).items()
        return {kind: self._model_name(media["schema"]) for kind, media in content if "schema" in media}

    def _model_name(self, schema: Json) -> str:
        """The model of a schema: the one that it refers to, or else a new one."""
        reference = _SCHEMA_REF.fullmatch(schema.get("$ref", ""))
        if reference:
            return reference[1]
        name = "MODEL" + hashlib.sha256(json.dumps(schema, sort_keys=True).encode()).hexdigest()[:8]
        self._create_model(name, schema)
        return name

    def _create_model(self, name: str, schema: Json) -> None:
        data = {"name": name, "schema": json.dumps(self._with_model_urls(schema))}
        _checked(apigateway_v1._create_model(self.api_id, data))

    def _with_model_urls(self, node: Any) -> Any:
        """A schema whose references are URLs of models, as API Gateway stores it."""
        if isinstance(node, list):
            return [self._with_model_urls(item) for item in node]
        if not isinstance(node, dict):
            return node
        reference = _SCHEMA_REF.fullmatch(str(node.get("$ref", "")))
        if not reference:
            return {name: self._with_model_urls(member) for name, member in node.items()}
        return {"$ref": f"https://apigateway.amazonaws.com/restapis/{self.api_id}/models/{reference[1]}"}

    def _resolved(self, node: Json) -> Json:
        """The target of a local reference to a parameter, a request body or a response."""
        while "$ref" in node:
            target: Any = self.spec
            for name in node["$ref"].removeprefix("#/").split("/"):
                target = target[name]
            node = target
        return node


def _request_parameters(parameters: list[Json]) -> dict[str, bool]:
    """`method.request.{location}.{name}` → whether it is required, as every path parameter is."""
    return {
        f"method.request.{_LOCATIONS[p['in']]}.{p['name']}": p["in"] == "path" or p.get("required", False)
        for p in parameters
        if p["in"] in _LOCATIONS
    }


def _put_integration(target: tuple[str, str, str], extension: Json, declared: Mapping[str, Json]) -> None:
    data = {
        **extension,
        "type": extension["type"].upper(),
        "passthroughBehavior": extension.get("passthroughBehavior", "WHEN_NO_MATCH").upper(),
    }
    _checked(apigateway_v1._put_integration(*target, data))
    patterns: dict[str, str] = {}
    for pattern, response in extension.get("responses", {}).items():
        status = str(response["statusCode"])
        _check_declared(status, response, declared)
        if status in patterns:
            raise OpenApiError(
                f"the integration responses {patterns[status]!r} and {pattern!r} both have status {status}: "
                "API Gateway keeps only one response for each status"
            )
        patterns[status] = pattern
        data = {**response, "selectionPattern": "" if pattern == "default" else pattern}
        _checked(apigateway_v1._put_integration_response(*target, status, data))


def _check_declared(status: str, response: Json, declared: Mapping[str, Json]) -> None:
    if status not in declared:
        raise OpenApiError(f"an integration response has status {status}, which the method does not declare")
    headers = {name.lower() for name in declared[status]["responseParameters"]}
    for name in response.get("responseParameters", {}):
        if name.lower() not in headers:
            raise OpenApiError(f"Invalid mapping expression parameter specified: {name} for status {status}")
