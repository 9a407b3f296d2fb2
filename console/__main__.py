"""`python -m console`: the console of the local stack or, with STACK=, of a deployed one; on loopback."""

import os
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
    """Serve until a signal stops it. Options: STACK, PROFILE, PORT (3000), STACK_DIR (.local)."""
    values = {name: value for name, value in environment.items() if value}
    try:
        port, name = int(values.get("PORT", "3000")), values.get("STACK")
        if name:
            require_aws(values)
        stack = deployed_stack(name, values.get("PROFILE")) if name else local_stack(values)
        folder = Path(values.get("STACK_DIR", ".local"))
        console = Console(stack, None if name else LocalTools(folder, stack.client("sqs")))
    except (UsageError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    console.index.start()
    app = create_app(console, lambda: server.should_exit)
    config = uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    sys.stdout.write(f"The console of {console.stack.label}: http://localhost:{port}/ (Ctrl-C stops it)\n")
    sys.stdout.flush()
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
