"""The API's documentation is complete, has no AWS extensions, and loads nothing from other hosts."""

import asyncio
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from openapi_spec_validator import OpenAPIV30SpecValidator
from starlette.applications import Starlette

from local.api_reference import site

PROJECT = Path(__file__).parents[2]
UNKNOWN_PATHS = {"/", "/{proxy+}"}
DOCS = PROJECT / "local" / "api_reference"
VENDORED = json.loads((DOCS / "vendor" / "vendored.json").read_text())
WEB_SERVER = httpx.ASGITransport(app=Starlette(routes=site.routes()))


def get(path: str) -> httpx.Response:
    async def request() -> httpx.Response:
        async with httpx.AsyncClient(transport=WEB_SERVER, base_url="http://localhost:3000") as browser:
            return await browser.get(path)

    return asyncio.run(request())


def keys(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
        yield from keys(child)


def test_the_first_address_that_a_newcomer_opens_leads_to_the_console() -> None:
    response = get("/")

    assert response.is_redirect
    assert response.headers["location"] == "/console/"


def test_the_document_has_every_operation_but_preflights_and_the_url_of_the_request() -> None:
    openapi = yaml.safe_load((PROJECT / "api" / "openapi.yaml").read_text())
    document = get("/openapi.json").json()

    OpenAPIV30SpecValidator(document).validate()
    assert [server["url"] for server in document["servers"]] == ["http://localhost:3000"]
    assert {path: item.keys() for path, item in document["paths"].items()} == {
        path: item.keys() - {"options"}
        for path, item in openapi["paths"].items()
        if path not in UNKNOWN_PATHS
    }
    assert document["components"]["schemas"] == openapi["components"]["schemas"]


def test_the_last_authorization_which_the_page_scrolls_to_is_the_customers_and_says_where_tokens_are() -> (
    None
):
    *_, (name, scheme) = get("/openapi.json").json()["components"]["securitySchemes"].items()

    assert name == "customer"
    assert ".local/agent-token" in scheme["description"]


def test_the_document_has_no_aws_extensions() -> None:
    response = get("/openapi.json")

    assert not [key for key in keys(response.json()) if key.startswith(("x-amazon-", "Fn::", "Ref"))]
    assert "arn:" not in response.text


def test_the_page_fills_in_no_optional_parameter() -> None:
    document = get("/openapi.json").json()

    parameters = document["components"]["parameters"]
    assert "example" not in parameters["IdempotencyKey"]
    assert "example" in parameters["TicketId"]
    assert all("example" not in parameter for parameter in document["paths"]["/tickets"]["get"]["parameters"])


def test_the_page_loads_its_four_files() -> None:
    page = get("/docs")

    assert page.headers["content-type"].startswith("text/html")
    types = {".css": "text/css", ".js": "text/javascript"}
    loaded = re.findall(r'(?:src|href)="(/docs/[^"]+)"', page.text)
    assert len(loaded) == 4
    for path in loaded:
        response = get(path)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith(types[Path(path).suffix])
        assert response.headers["x-content-type-options"] == "nosniff"


def test_the_page_may_run_only_script_files_of_the_web_server() -> None:
    page = get("/docs")

    directives = dict(
        part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";")
    )
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["connect-src"] == "'self'"
    assert re.findall(r"<script(?! src=)|\son\w+=|style=|<style", page.text) == []


@pytest.mark.parametrize("file", sorted((DOCS / "page").iterdir()), ids=lambda file: file.name)
def test_the_files_of_the_page_refer_to_no_other_host(file: Path) -> None:
    assert re.findall(r"(?:https?:)?//[\w.-]+\.\w+", file.read_text()) == []


def test_the_style_sheet_loads_no_files() -> None:
    text = (DOCS / "vendor" / "swagger-ui.css").read_text()
    assert "@import" not in text
    assert set(re.findall(r"url\(\"?(\w+):", text)) == {"data"}
    assert len(re.findall(r"url\(", text)) == len(re.findall(r"url\(\"?data:", text))


def test_the_vendored_files_match_the_package() -> None:
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (DOCS / "vendor").iterdir()}
    del found["vendored.json"]
    assert found == VENDORED["sha256"]


@pytest.mark.parametrize(
    "path",
    [
        "/docs/vendored.json",
        "/docs/..%2fsite.py",
        "/docs/%2e%2e/site.py",
        "/docs/../../../../etc/passwd",
        "/docs/page/index.html",
        "/docs//etc/passwd",
    ],
)
def test_no_other_file_can_be_reached(path: str) -> None:
    assert get(path).status_code == 404
