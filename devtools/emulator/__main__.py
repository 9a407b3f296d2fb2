"""Run the emulator in this process, until SIGTERM or SIGINT: `python -m devtools.emulator`.

Environment variables:

    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY   the root user's key; required
    GATEWAY_PORT, BIND_HOST, …                 those of `ministack` itself
    LAMBDA_WORKERS                             see worker_limit
    FUNCTION_LOG                               see function_log
    ALARM_MINUTE                               see alarms
    PAGE_ORIGIN                                see control_plane
    EMULATOR_TMP                               the folder for temporary files, which are removed at the end;
                                               by default the system's

With PERSIST_STATE=1, set STATE_DIR as well: by default the state is one of the temporary files.
"""

import os
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from devtools.emulator import patch

_DEFAULTS = {"BIND_HOST": "127.0.0.1", "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}


def main() -> None:
    """Serve until a signal arrives, then remove all processes and temporary files."""
    if sys.argv[1:]:
        sys.exit(
            "python -m devtools.emulator takes no arguments: its docstring lists the environment variables."
        )
    if not (os.environ.get("AWS_ACCESS_KEY_ID") and os.environ.get("AWS_SECRET_ACCESS_KEY")):
        sys.exit("Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: they are the emulator's root key.")
    signal.signal(signal.SIGTERM, _exit)
    _set_environment()
    parent = os.environ.get("EMULATOR_TMP")
    if parent:
        Path(parent).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="emulator-", dir=parent, ignore_cleanup_errors=True) as folder:
        # The emulator reads this setting once, when it is imported.
        tempfile.tempdir = os.environ["TMPDIR"] = folder
        # Even without PERSIST_STATE, the emulator stores the keys that sign its tokens there.
        os.environ.setdefault("STATE_DIR", folder)
        _serve()


def _exit(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _set_environment() -> None:
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    # It would override the endpoint that the emulator passes to its functions.
    os.environ.pop("AWS_ENDPOINT_URL", None)


def _serve() -> None:
    # Imported late: the emulator reads the environment when it is imported, and another release may lack
    # names that the extensions import.
    try:
        patch.check_version()
        from devtools.emulator import extensions  # noqa: PLC0415

        extensions.install()
    except patch.EmulatorChangedError as error:
        sys.exit(str(error))
    from ministack import app  # noqa: PLC0415

    # The event loop gives up the interpreter with every system call. By default it would then wait up to 5 ms
    # for the threads that run executions.
    sys.setswitchinterval(0.0005)
    app.main()


if __name__ == "__main__":
    main()
