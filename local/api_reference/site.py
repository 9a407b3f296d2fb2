"""The pages of the web server about the API: the OpenAPI document, and Swagger UI to read it and try it out.

Swagger UI comes from the npm package that `vendor/vendored.json` names; the page loads nothing from other
hosts. To update it, run `npm pack swagger-ui-dist@VERSION`, copy the files that are named there, and update
their hashes.
"""

from pathlib import Path
from typing import Any

import yaml
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

type Document = dict[str, Any]

_HERE = Path(__file__).parent
_OPENAPI = _HERE.parents[1] / "api" / "openapi.yaml"
_ASSETS = [
    _HERE / "page" / "page.css",
    _HERE / "page" / "initializer.js",
    _HERE / "vendor" / "swagger-ui.css",
    _HERE / "vendor" / "swagger-ui-bundle.js",
]
_HEADERS = {
    # Swagger UI's icons are data: URLs in its style sheet.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class _PageRoute(Route):
    """A route for GET and HEAD only; the API responds to other methods."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        return (Match.NONE if match is Match.PARTIAL else match), child_scope


def routes() -> list[Route]:
    """Routes for `/openapi.json`, `/docs` and each file of the page; `/` leads to the console.

    No path leads to another file.
    """
    document = public_part(yaml.safe_load(_OPENAPI.read_text()))
    document["paths"] = _callable_paths(document["paths"])
    _offer_customer_authorization(document["components"]["securitySchemes"])

    async def openapi(request: Request) -> Response:
        servers = [{"url": str(request.base_url).rstrip("/"), "description": "The local stack"}]
        return JSONResponse(document | {"servers": servers}, headers=_HEADERS)

    async def start(_request: Request) -> Response:
        return RedirectResponse("/console/", headers=_HEADERS)

    return [
        _PageRoute("/", start),
        _PageRoute("/openapi.json", openapi),
        _file("/docs", _HERE / "page" / "index.html"),
        *(_file(f"/docs/{asset.name}", asset) for asset in _ASSETS),
    ]


def public_part(node: Any) -> Any:
    """A part of the document without AWS extensions and without examples of optional parameters."""
    if isinstance(node, dict):
        kept = {
            key: public_part(value) for key, value in node.items() if not str(key).startswith("x-amazon-")
        }
        if "in" in kept and not kept.get("required"):
            # Swagger UI would send it: lists would be filtered, and all tickets have one Idempotency-Key.
            kept.pop("example", None)
        return kept
    if isinstance(node, list):
        return [public_part(item) for item in node]
    return node


def _callable_paths(paths: Document) -> Document:
    """The paths with operations for users: no preflight requests, and no paths for API Gateway only."""
    operations = {
        path: {key: value for key, value in item.items() if key != "options"} for path, item in paths.items()
    }
    return {path: item for path, item in operations.items() if item}


def _offer_customer_authorization(schemes: Document) -> None:
    """Make `customer`, the only scheme that the page can use, the last one, which Swagger UI scrolls to."""
    customer = schemes.pop("customer")
    tokens = "The demo users' tokens are in `.local/token`, `.local/agent-token` and `.local/admin-token`."
    schemes["customer"] = {**customer, "description": f"{customer['description']} {tokens}"}


def _file(path: str, file: Path) -> Route:
    async def serve(_request: Request) -> Response:
        return FileResponse(file, headers=_HEADERS)

    return _PageRoute(path, serve)
