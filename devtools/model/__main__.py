"""Run the stand-in on loopback: `python -m devtools.model --port 8100` (see --help)."""

import argparse
import contextlib
import math
import os
import socket
import sys

import uvicorn
from starlette.applications import Starlette

from devtools.model.backends import ConfigurationError, choose_backend
from devtools.model.server import SLOW_SECONDS, create_app

_HOST = "127.0.0.1"


class _Server(uvicorn.Server):
    """Prints its URL when it has started, and cancels open calls when it stops."""

    def __init__(self, app: Starlette, port: int) -> None:
        super().__init__(uvicorn.Config(app, host=_HOST, port=port, access_log=False, log_level="warning"))
        self._stopping = app.state.stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(f"Model stand-in on http://{_HOST}:{port}", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping.set()
        await super().shutdown(sockets)


def main() -> None:
    """Serve until a signal arrives. Exits with 2 if the configuration is invalid, 3 if the port is in use."""
    options = _options()
    try:
        backend = choose_backend(os.environ, options.timeout_seconds)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    serve(create_app(backend, slow_seconds=options.slow_seconds), options.port)


def serve(app: Starlette, port: int) -> None:
    """Serve on loopback until a signal arrives; port 0 is any free port."""
    with contextlib.suppress(KeyboardInterrupt):
        _Server(app, port).run()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m devtools.model",
        description="A stand-in for Amazon Bedrock's Converse API on loopback.",
        epilog="MODEL chooses what analyses tickets: unset, the built-in rules; 'bedrock', Amazon Bedrock "
        "with your AWS profile; an http(s) URL, an OpenAI-compatible server, whose model is MODEL_NAME.",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=os.environ.get("MODEL_PORT", "8100"),
        help="port on loopback, 0 for any free port (MODEL_PORT; default 8100)",
    )
    parser.add_argument(
        "--slow-seconds",
        type=_seconds,
        default=os.environ.get("MODEL_SLOW_SECONDS", str(SLOW_SECONDS)),
        help="how long the fault 'slow' delays an answer (MODEL_SLOW_SECONDS; default 30)",
    )
    parser.add_argument(
        "--timeout-seconds",
        type=_seconds,
        default=os.environ.get("MODEL_TIMEOUT_SECONDS", "60"),
        help="how long to wait for a model server or Bedrock (MODEL_TIMEOUT_SECONDS; default 60)",
    )
    return parser.parse_args()


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number of seconds")
    return seconds


if __name__ == "__main__":
    main()
