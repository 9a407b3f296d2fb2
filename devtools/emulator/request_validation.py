"""Validation of request bodies, and the error messages in its gateway response.

AWS validates a body against the model for the request's content type. A body whose content type has no model
is not validated; with `passthroughBehavior: NEVER` it is refused with 415. The emulator validates all bodies
against the model for application/json, and returns 400. This module makes it use the right model. It also
refuses bodies that are not JSON on AWS, but that the emulator accepts: NaN, other encodings than UTF-8, and
nesting that is too deep to check.

For BAD_REQUEST_BODY, AWS sets `$context.error.validationErrorString` to the messages of its JSON schema
validator, such as `[object has missing required properties (["content"])]`. The emulator does not replace the
variable. This module replaces it with messages in AWS's wording, escaped for a JSON string and at most
MAX_LENGTH characters long. A message quotes at most a few dozen characters of a value.

Source: API Gateway developer guide, "Request validation for REST APIs" and "Gateway response types".
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import jsonschema
from jsonschema.exceptions import ValidationError
from ministack.services import apigateway_v1
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from devtools.emulator import patch

Json = dict[str, Any]

MAX_LENGTH = 500

_JSON_TYPE = "application/json"
_MAX_QUOTE_LENGTH = 60
_ERROR_KEY = "validation_error"
_VARIABLE = re.compile(
    r"\$(?:\{context\.error\.validationErrorString\}|context\.error\.validationErrorString\b)"
)


def install() -> None:
    """Extend the emulator."""
    patch.wrap(apigateway_v1, "_check_request_validation", _check_request_validation)
    patch.wrap(apigateway_v1, "_gateway_error_response", _gateway_error_response)


def _check_request_validation(
    original: Callable[..., Any], method_obj: Json, api_id: str, request: Json, *args: Any
) -> Any:
    headers, body, _query = args
    model = _model(method_obj, headers)
    # The emulator uses the model for application/json for all content types.
    models = {_JSON_TYPE: model} if model else {}
    error = original({**method_obj, "requestModels": models}, api_id, request, *args)
    if error is None and model and _validates_body(method_obj, api_id) and _json_error(body):
        error = apigateway_v1._gw_error("BAD_REQUEST_BODY", "Invalid request body")
    if error is not None:
        is_body = error.response_type == "BAD_REQUEST_BODY"
        request[_ERROR_KEY] = (
            validation_errors(body, *_schema(api_id, str(model))) if is_body else error.message
        )
    return error


def _gateway_error_response(original: Callable[..., Any], error: Any, request: Mapping[str, Any]) -> Any:
    status, headers, body = original(error, request)
    text = json.dumps(request.get(_ERROR_KEY, ""), ensure_ascii=False)[1:-1]
    return status, headers, _VARIABLE.sub(lambda _: text, body.decode()).encode(errors="replace")


def media_type(headers: Mapping[str, str]) -> str:
    """A request's content type in lower case without parameters; application/json if it has none.

    The AWS documentation does not say whether parameters, such as a charset, matter for the choice of a model
    or a mapping template. Here they do not: many clients always send a charset (axios, AngularJS), and nobody
    has reported that API Gateway refuses them.
    """
    header: str = apigateway_v1._header_ci(headers, "content-type") or _JSON_TYPE
    return header.partition(";")[0].strip().lower()


def _model(method: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    """The name of the model for the request's content type, if the method has one."""
    content_type = media_type(headers)
    models: Mapping[str, str] = method.get("requestModels") or {}
    return next((name for kind, name in models.items() if kind.lower() == content_type), None)


def _schema(api_id: str, model: str) -> tuple[Any, Registry[Any]]:
    """The schema of a model, and the registry that resolves its references to other models."""

    def retrieve(uri: str) -> Resource[Any]:
        name = uri.rpartition("/")[2]
        return Resource.from_contents(apigateway_v1._model_schema(api_id, name), default_specification=DRAFT4)

    return apigateway_v1._model_schema(api_id, model), Registry(retrieve=retrieve)  # type: ignore[call-arg]


def _validates_body(method: Json, api_id: str) -> bool:
    validators = apigateway_v1._request_validators.get(api_id, {})
    return bool(validators.get(method.get("requestValidatorId"), {}).get("validateRequestBody"))


def _json_error(body: bytes) -> str:
    """Why a body is not a JSON document; empty if it is one."""
    try:
        _parse(body)
    except json.JSONDecodeError as error:
        return f"the body is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})"
    except UnicodeDecodeError:
        return "the body is not valid UTF-8"
    except RecursionError:
        return "the body is nested too deeply"
    except ValueError as error:
        return f"the body is not valid JSON: {error}"
    return ""


def _parse(body: bytes) -> Any:
    document = json.loads(body.decode(), parse_constant=_refuse_constant)
    json.dumps(document)  # raises RecursionError if it is nested too deeply for the mapping templates
    return document


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number")


def validation_errors(body: bytes, schema: Any, registry: Registry[Any]) -> str:
    """The error messages about a JSON body, in at most MAX_LENGTH characters."""
    if reason := _json_error(body):
        return _shortened(f"[{reason}]", MAX_LENGTH)
    document = _parse(body)
    validator = jsonschema.Draft4Validator(schema, registry=registry)
    messages = dict.fromkeys(_message(error) for error in validator.iter_errors(document))
    return _shortened(f"[{', '.join(messages) or 'Invalid request body'}]", MAX_LENGTH)


def _message(error: ValidationError) -> str:
    """An error message in the wording of the validator that AWS uses."""
    wording = _WORDINGS.get(str(error.validator))
    if wording is None:
        return _shortened(error.message, _MAX_QUOTE_LENGTH * 2)
    return wording(error.instance, error.validator_value, error.schema)


# JSON schema keyword → message, given the value, the keyword's value, and the schema.
_WORDINGS: Mapping[str, Callable[[Any, Any, Any], str]] = {
    "required": lambda value, names, _: (
        f"object has missing required properties ({_json(sorted(set(names) - value.keys()))})"
    ),
    "additionalProperties": lambda value, _, schema: (
        "object instance has properties which are not allowed by the schema: "
        + _json(sorted(value.keys() - schema.get("properties", {}).keys()))
    ),
    "type": lambda value, types, _: (
        f"instance type ({_json_type(value)}) does not match any allowed primitive type "
        f"(allowed: {_json(types if isinstance(types, list) else [types])})"
    ),
    "minLength": lambda value, length, _: (
        f"string {_json(value)} is too short (length: {len(value)}, required minimum: {length})"
    ),
    "maxLength": lambda value, length, _: (
        f"string {_json(value)} is too long (length: {len(value)}, maximum allowed: {length})"
    ),
    "minProperties": lambda value, count, _: (
        f"object has too few properties (found {len(value)} but schema requires at least {count})"
    ),
    "enum": lambda value, values, _: (
        f"instance value ({_json(value)}) not found in enum (possible values: {_json(values)})"
    ),
    "minimum": lambda value, minimum, _: (
        f"numeric instance is lower than the required minimum (minimum: {minimum}, found: {_json(value)})"
    ),
    "maximum": lambda value, maximum, _: (
        f"numeric instance is greater than the required maximum (maximum: {maximum}, found: {_json(value)})"
    ),
    "pattern": lambda value, pattern, _: (
        f"ECMA 262 regex {_json(pattern)} does not match input string {_json(value)}"
    ),
}


def _json_type(value: Any) -> str:
    names = ("null", "boolean", "integer", "number", "string", "array", "object")
    return next(name for name in names if jsonschema.Draft4Validator.TYPE_CHECKER.is_type(value, name))


def _json(value: Any) -> str:
    return _shortened(json.dumps(value, ensure_ascii=False, separators=(",", ":")), _MAX_QUOTE_LENGTH)


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
