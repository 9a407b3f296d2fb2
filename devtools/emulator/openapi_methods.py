"""Which methods API Gateway makes of an OpenAPI document, and what protects them.

API Gateway does not use `security` at the root of the document, only that of each operation. The emulator
uses both, so that a method that is public on AWS asked for a token here. And API Gateway imports
`x-amazon-apigateway-any-method` as the method ANY, which the emulator leaves out.

AWS: "API Gateway doesn't use root level security defined in the OpenAPI specification. Hence security needs
to be defined at an operation level to be appropriately applied." (Amazon API Gateway important notes)
"""

from collections.abc import Callable
from typing import Any

from ministack.services import apigateway_v1

from devtools.emulator import guard

Json = dict[str, Any]

_ANY = "x-amazon-apigateway-any-method"


def install() -> None:
    """Extend the emulator."""
    methods = {*getattr(apigateway_v1, "_OPENAPI_HTTP_METHODS", ()), "any"}
    guard.replace(apigateway_v1, "_OPENAPI_HTTP_METHODS", methods)
    guard.wrap(apigateway_v1, "_import_rest_api", _import_rest_api)


def _import_rest_api(original: Callable[..., str], spec: Json, base_data: Json | None = None) -> str:
    paths = {path: _path_item(item) for path, item in (spec.get("paths") or {}).items()}
    return original({**spec, "paths": paths, "security": []}, base_data)


def _path_item(item: Json) -> Json:
    return {"any" if name == _ANY else name: member for name, member in item.items()}
