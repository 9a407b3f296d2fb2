"""Functions run in Lambda's runtime: its Python, its boto3, its environment variables.

The emulator starts workers with its own interpreter and environment. Functions could then import every
package of the development environment, read the developer's `~/.aws`, and use the developer's time zone, and
would fail on AWS only. This module starts workers in `.venv-lambda`, which has the packages of Lambda's
runtime, with the variables that Lambda sets, and those that the emulator needs: AWS_ENDPOINT_URL… and TMPDIR.

On AWS, a function on python3.13 has the TZ, LANG and PATH below and no HOME; the home directory of its user,
where SDKs look for configuration, does not exist.

Source: Lambda developer guide, "Lambda runtimes" and "Defined runtime environment variables".
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from ministack.core import lambda_runtime

from devtools.emulator import patch

_PYTHON = Path(__file__).parents[2] / ".venv-lambda" / "bin" / "python"

_ENVIRONMENT = {
    "HOME": "/home/sbx_user1051",
    "LANG": "en_US.UTF-8",
    "PATH": "/usr/local/bin:/usr/bin:/bin:/opt/bin",
    "TZ": ":UTC",
}
_INHERITED = ("AWS_", "_LAMBDA_", "_MINISTACK_", "LAMBDA_TASK_ROOT", "TMPDIR")

_UPDATE_LINE = """
    os.environ.update(env)
"""
_REPLACE_LINES = f"""
    _inherited = {{name: value for name, value in os.environ.items() if name.startswith({_INHERITED})}}
    os.environ.clear()
    os.environ.update({{**_inherited, **{_ENVIRONMENT}, **env}})
    time.tzset()
"""


def install() -> None:
    """Extend the emulator. Exits with an error message if `.venv-lambda` does not exist."""
    if not _PYTHON.exists():
        sys.exit(f"{_PYTHON} is missing: create it with `make .venv-lambda`.")
    patch.wrap(lambda_runtime, "_detect_runtime_binary", _interpreter_and_script)
    patch.replace_line(lambda_runtime, "_PYTHON_WORKER_SCRIPT", _UPDATE_LINE, _REPLACE_LINES)
    # Python reads these variables before it runs the worker's script.
    for name in [name for name in os.environ if name.startswith("PYTHON")]:
        del os.environ[name]


def _interpreter_and_script(original: Callable[..., tuple[str, str]], runtime: str) -> tuple[str, str]:
    interpreter, script = original(runtime)
    return (str(_PYTHON) if runtime.startswith("python") else interpreter), script
