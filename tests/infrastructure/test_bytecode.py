"""The bytecode of built functions: Lambda uses it, and the same sources always give the same bytecode."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from infra.bytecode import add_bytecode


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A module of a built function, with bytecode."""
    module = tmp_path / "build" / "StoreFunction" / "package" / "module.py"
    module.parent.mkdir(parents=True)
    (tmp_path / "build" / "template.yaml").touch()
    module.write_text("NAME = 'first'\n")
    add_bytecode(tmp_path / "build")
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
    copy = tmp_path / "elsewhere" / "build" / "UpdateFunction" / "package" / "module.py"
    copy.parent.mkdir(parents=True)
    copy.write_text(module.read_text())
    add_bytecode(tmp_path / "elsewhere" / "build")

    assert bytecode(copy).read_bytes() == bytecode(module).read_bytes()
