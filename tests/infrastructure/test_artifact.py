"""Built functions: Lambda uses their bytecode, which depends on the sources only; unused parts are gone."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from infra.artifact import complete

SOURCE = "NAME = 'first'\n"


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A module of a built function, with bytecode."""
    module = written(tmp_path / "build", "StoreFunction", SOURCE)
    (tmp_path / "build" / "template.yaml").touch()
    complete(tmp_path / "build")
    return module


def written(build: Path, function: str, source: str) -> Path:
    """A module of a function in a folder that `sam build` has written."""
    module = build / function / "package" / "module.py"
    module.parent.mkdir(parents=True)
    module.write_text(source)
    return module


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


def test_the_bytecode_does_not_depend_on_the_folder_the_function_or_the_time(
    module: Path, tmp_path: Path
) -> None:
    copy = written(tmp_path / "elsewhere" / "build", "UpdateFunction", SOURCE)
    complete(tmp_path / "elsewhere" / "build")

    assert bytecode(copy).read_bytes() == bytecode(module).read_bytes()


def test_every_function_has_the_bytecode(tmp_path: Path) -> None:
    modules = [written(tmp_path, function, SOURCE) for function in ("NotifyFunction", "StoreFunction")]

    complete(tmp_path)

    assert bytecode(modules[0]).read_bytes() == bytecode(modules[1]).read_bytes()


def test_unused_parts_of_packages_are_removed(tmp_path: Path) -> None:
    module = written(tmp_path, "StoreFunction", SOURCE)
    unused = module.parents[1] / "aws_lambda_powertools" / "utilities" / "auth_alpha"
    unused.mkdir(parents=True)

    complete(tmp_path)

    assert not unused.exists()
    assert unused.parent.exists()
