"""Adds bytecode to built functions: `python -m infra.bytecode .aws-sam/build`.

Lambda cannot store bytecode: without it, every cold start compiles all modules again. Python ignores bytecode
of another Python version, or of another source.
"""

import sys
from compileall import compile_dir
from pathlib import Path
from py_compile import PycInvalidationMode
from shutil import copytree


def add_bytecode(build: Path) -> None:
    """Add the bytecode of the modules to every function in a folder that `sam build` has written.

    The same sources give the same bytecode in every folder, so that a deployment finds nothing changed. The
    bytecode has the hash of its source, because a deployment does not keep the time of the last change.
    """
    first, *others = sorted(path for path in build.iterdir() if path.is_dir())
    compile_dir(first, quiet=1, stripdir=str(first), invalidation_mode=PycInvalidationMode.CHECKED_HASH)
    # All functions are built from the same code, so it is compiled only once.
    for cache in first.rglob("__pycache__"):
        for function in others:
            copytree(cache, function / cache.relative_to(first), dirs_exist_ok=True)


if __name__ == "__main__":
    add_bytecode(Path(sys.argv[1]))
