"""A build: one package for all functions, which depends on the sources only and has their bytecode."""

import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from infra.artifact import complete

SOURCE = "NAME = 'first'\n"
TABLE = {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "tickets"}}


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A completed build."""
    return built(tmp_path / "build", "NotifyFunction", "StoreFunction")


@pytest.fixture
def module(build: Path) -> Path:
    """A module of the functions' code, with bytecode."""
    return build / "code" / "package" / "module.py"


def built(build: Path, *functions: str) -> Path:
    """A folder that `sam build` has written, completed."""
    for function in functions:
        unused = build / function / "aws_lambda_powertools" / "utilities" / "auth_alpha"
        package = build / function / "package"
        for folder in (unused, package):
            folder.mkdir(parents=True)
            (folder / "module.py").write_text(SOURCE)
    template = {"Resources": {name: function_from(name) for name in functions} | {"Table": TABLE}}
    (build / "template.yaml").write_text(json.dumps(template))
    complete(build)
    return build


def function_from(code: str) -> dict[str, Any]:
    return {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": code, "Timeout": 5}}


def bytecode(module: Path) -> Path:
    return Path(importlib.util.cache_from_source(module))


def imported_name(module: Path) -> str:
    """What a new process, which may not write bytecode, imports from the module."""
    program = "from package import module; print(module.NAME)"
    done = subprocess.run(
        [sys.executable, "-B", "-c", program],
        cwd=module.parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_a_function_is_imported_from_its_bytecode(module: Path) -> None:
    code = bytecode(module).read_bytes()
    bytecode(module).write_bytes(code.replace(b"first", b"other"))

    assert imported_name(module) == "other"


def test_bytecode_of_another_source_is_not_used(module: Path) -> None:
    module.write_text("NAME = 'second'\n")

    assert imported_name(module) == "second"


def test_every_function_uses_the_package_and_nothing_else_of_the_template_changes(build: Path) -> None:
    template = json.loads((build / "template.yaml").read_text())

    function = function_from("code.zip")
    assert template == {"Resources": {"NotifyFunction": function, "StoreFunction": function, "Table": TABLE}}


def test_the_package_contains_the_code_readable_for_every_user(build: Path) -> None:
    code = build / "code"
    with zipfile.ZipFile(build / "code.zip") as package:
        content = {entry.filename: package.read(entry) for entry in package.infolist()}
        modes = {entry.external_attr >> 16 for entry in package.infolist()}

    files = [path for path in code.rglob("*") if path.is_file()]
    assert content == {str(path.relative_to(code)): path.read_bytes() for path in files}
    assert {Path(name).suffix for name in content} == {".py", ".pyc"}
    assert modes == {0o644}


def test_the_package_does_not_depend_on_the_folder_the_functions_names_or_the_time(
    build: Path, tmp_path: Path
) -> None:
    other = built(tmp_path / "elsewhere", "UpdateFunction")

    assert (other / "code.zip").read_bytes() == (build / "code.zip").read_bytes()


def test_unused_parts_of_packages_are_removed(build: Path) -> None:
    utilities = build / "code" / "aws_lambda_powertools" / "utilities"

    assert utilities.exists()
    assert not (utilities / "auth_alpha").exists()
