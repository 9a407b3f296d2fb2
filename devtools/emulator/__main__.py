"""Run the emulator in this process, until SIGTERM or SIGINT: `python -m devtools.emulator`.

Configuration comes from the environment. AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the root user's key,
are required. The others are GATEWAY_PORT and BIND_HOST, the emulator's other variables, and LAMBDA_WORKERS
(worker_limit), FUNCTION_LOG (function_log), PAGE_ORIGIN (control_plane) and EMULATOR_TMP: the folder for the
temporary files of the emulator and its functions, which are removed at the end; the system's by default. With
PERSIST_STATE=1 set STATE_DIR, too: otherwise the state is one of the temporary files.
"""

import os
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from devtools.emulator import guard

_DEFAULTS = {"BIND_HOST": "127.0.0.1", "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}


def main() -> None:
    """Start, serve, and leave neither a process nor a file behind."""
    if sys.argv[1:]:
        sys.exit(
            "python -m devtools.emulator takes no arguments: see its docstring for the environment variables"
        )
    if not (os.environ.get("AWS_ACCESS_KEY_ID") and os.environ.get("AWS_SECRET_ACCESS_KEY")):
        sys.exit("Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: they are the emulator's root key.")
    signal.signal(signal.SIGTERM, _exit)
    _set_environment()
    parent = os.environ.get("EMULATOR_TMP")
    if parent:
        Path(parent).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="emulator-", dir=parent, ignore_cleanup_errors=True) as folder:
        # Before the emulator is imported: it reads the folder once.
        tempfile.tempdir = os.environ["TMPDIR"] = folder
        # The emulator keeps the keys that sign its tokens there, in any case.
        os.environ.setdefault("STATE_DIR", folder)
        _serve()


def _exit(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _set_environment() -> None:
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    # It would take the place of the endpoint that the emulator gives to its functions.
    os.environ.pop("AWS_ENDPOINT_URL", None)


def _serve() -> None:
    # Imported late: the emulator reads the environment when it is imported, and another release of it may
    # not even have what the extensions import.
    try:
        guard.check_version()
        from devtools.emulator import extensions  # noqa: PLC0415

        extensions.install()
    except guard.EmulatorChangedError as error:
        sys.exit(str(error))
    from ministack import app  # noqa: PLC0415

    app.main()


if __name__ == "__main__":
    main()
