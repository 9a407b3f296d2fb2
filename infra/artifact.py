"""Completes built functions: `python -m infra.artifact .aws-sam/build`.

Adds bytecode, which Lambda cannot store: without it, every cold start compiles all modules again. Python
ignores bytecode of another Python version, or of another source. Removes large parts of packages that no
function uses.
"""

import sys
from compileall import compile_dir
from pathlib import Path
from py_compile import PycInvalidationMode
from shutil import copytree, rmtree

# A web page for API documentation, and an authorizer.
_UNUSED = (
    "aws_lambda_powertools/event_handler/openapi/swagger_ui",
    "aws_lambda_powertools/utilities/auth_alpha",
)


def complete(build: Path) -> None:
    """Complete every function in a folder that `sam build` has written."""
    functions = sorted(path for path in build.iterdir() if path.is_dir())
    for function in functions:
        for unused in _UNUSED:
            rmtree(function / unused, ignore_errors=True)
    _add_bytecode(functions)


def _add_bytecode(functions: list[Path]) -> None:
    """Add the bytecode of all modules.

    The same sources give the same bytecode in every folder, so that a deployment finds nothing changed. The
    bytecode has the hash of its source, because a deployment does not keep the time of the last change.
    """
    first, *others = functions
    compile_dir(first, quiet=1, stripdir=str(first), invalidation_mode=PycInvalidationMode.CHECKED_HASH)
    # All functions are built from the same code, so it is compiled only once.
    for cache in first.rglob("__pycache__"):
        for function in others:
            copytree(cache, function / cache.relative_to(first), dirs_exist_ok=True)


if __name__ == "__main__":
    complete(Path(sys.argv[1]))
