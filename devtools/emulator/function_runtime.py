"""Functions run on what Lambda gives them: its Python with its boto3, and its environment.

The emulator starts its workers on its own interpreter and hands its own environment down. A function could
then import every package of the development environment, read the developer's `~/.aws`, and take the
developer's time zone for UTC, and would fail on AWS only. This module starts the workers on `.venv-lambda`,
which holds what the runtime holds, and leaves them the variables that Lambda sets; AWS_ENDPOINT_URL… and
TMPDIR stay, because the emulator needs them.

The environment of a function on python3.13 has TZ, LANG and PATH as below and no HOME; the home of its user,
which SDKs look for, does not exist.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from ministack.core import lambda_runtime

from devtools.emulator import guard

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
    """Extend the emulator. Exits with one sentence when there is no `.venv-lambda`."""
    if not _PYTHON.exists():
        sys.exit(f"{_PYTHON} is missing: make it with `make .venv-lambda`.")
    guard.wrap(lambda_runtime, "_detect_runtime_binary", _interpreter_and_script)
    guard.replace_line(lambda_runtime, "_PYTHON_WORKER_SCRIPT", _UPDATE_LINE, _REPLACE_LINES)
    # These act before the worker's first line.
    for name in [name for name in os.environ if name.startswith("PYTHON")]:
        del os.environ[name]


def _interpreter_and_script(original: Callable[..., tuple[str, str]], runtime: str) -> tuple[str, str]:
    interpreter, script = original(runtime)
    return (str(_PYTHON) if runtime.startswith("python") else interpreter), script
