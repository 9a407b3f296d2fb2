"""`python -m console`: the console of the local stack or, with STACK=, of a deployed one; on loopback."""

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import uvicorn

from console.app import create_app
from console.local_tools import LocalTools
from console.views import Console
from ops.options import UsageError, require_aws
from ops.stack import deployed_stack, local_stack


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Serve until a signal stops it. Options: STACK, PROFILE, PORT (8080), STACK_DIR (.local)."""
    try:
        console, port = _options({name: value for name, value in environment.items() if value})
        listener = socket.create_server(("127.0.0.1", port))
    except (UsageError, OSError, OverflowError) as error:
        advice = "" if isinstance(error, UsageError) else ". Choose another port with PORT=."
        sys.stderr.write(f"{error}{advice}\n")
        return 2
    console.index.start()
    app = create_app(console, lambda: server.should_exit)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2))
    print(f"The console of {console.stack.label}: http://localhost:{port}/ (Ctrl-C stops it)", flush=True)
    server.run([listener])
    return 0


def _options(values: Mapping[str, str]) -> tuple[Console, int]:
    port, name, folder = values.get("PORT", "8080"), values.get("STACK"), values.get("STACK_DIR", ".local")
    if not port.isdecimal():
        raise UsageError(f"PORT must be a number, not {port}.")
    if name:
        require_aws(values)
        return Console(deployed_stack(name, values.get("PROFILE")), None), int(port)
    stack = local_stack(values)
    return Console(stack, LocalTools(Path(folder), stack.client("sqs"))), int(port)


if __name__ == "__main__":
    sys.exit(main())
