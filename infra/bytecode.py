"""Adds bytecode to built functions: `python -m infra.bytecode .aws-sam/build`.

Lambda cannot store bytecode: without it, every cold start compiles all modules again. Python ignores bytecode
of another Python version, or of another source.
"""

import sys
from compileall import compile_dir
from pathlib import Path
from py_compile import PycInvalidationMode


def add_bytecode(build: Path) -> None:
    """Compile the modules of every function in a folder that `sam build` has written.

    The same sources give the same bytecode in every folder, so that a deployment finds nothing changed. The
    bytecode has the hash of its source, because a deployment does not keep the time of the last change.
    """
    for function in build.iterdir():
        if function.is_dir():
            compile_dir(
                function,
                maxlevels=20,
                quiet=1,
                stripdir=str(function),
                invalidation_mode=PycInvalidationMode.CHECKED_HASH,
            )


if __name__ == "__main__":
    add_bytecode(Path(sys.argv[1]))
