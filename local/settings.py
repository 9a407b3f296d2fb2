"""The settings of a local stack, from environment variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).parent.parent
REGION = "us-east-1"
HOST = "127.0.0.1"


class StackError(Exception):
    """A command of the local stack failed; the message is one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The ports of a local stack, the folder for all files that it writes, and its template parameters."""

    port: int
    emulator_port: int
    folder: Path
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The parameters of the template that differ from their defaults."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read PORT (3000), EMULATOR_PORT (4566) and STACK_DIR (.local).

        Raises:
            StackError: a port is not a valid port number, or both ports are the same.
        """
        port, emulator_port = _port(environment, "PORT", 3000), _port(environment, "EMULATOR_PORT", 4566)
        if port == emulator_port:
            raise StackError(f"PORT and EMULATOR_PORT must differ, but both are {port}.")
        return cls(
            port=port,
            emulator_port=emulator_port,
            folder=Path(environment.get("STACK_DIR") or ".local").resolve(),
        )

    @property
    def web_url(self) -> str:
        """The URL of the web server, which forwards requests to the API."""
        return f"http://localhost:{self.port}"

    @property
    def temporary(self) -> Path:
        """The folder for temporary files, which is removed when the stack stops."""
        return self.folder / "tmp"

    @property
    def endpoint_url(self) -> str:
        """The URL of the emulator."""
        return f"http://{HOST}:{self.emulator_port}"


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise StackError(f"{name} must be a number from 1 to 65535, not {text}.")
    return int(text)
