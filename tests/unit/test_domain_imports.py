"""The domain depends on the standard library only."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

DOMAIN = Path(__file__).parents[2] / "functions" / "support" / "domain"


def imported_modules(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def test_the_domain_imports_only_itself_and_the_standard_library() -> None:
    imports = {(file.name, module) for file in DOMAIN.rglob("*.py") for module in imported_modules(file)}
    foreign = {
        (file, module)
        for file, module in imports
        if not f"{module}.".startswith("support.domain.")
        and module.partition(".")[0] not in sys.stdlib_module_names
    }

    assert ("ticket.py", "hashlib") in imports
    assert foreign == set()
