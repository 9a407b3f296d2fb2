"""What can be chosen about a local stack, all of it by environment variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

REGION = "us-east-1"
HOST = "127.0.0.1"


class StackError(Exception):
    """The stack cannot do what was asked; the message is one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One local stack: its ports, the folder that holds all that it writes, and how it is deployed."""

    port: int
    emulator_port: int
    folder: Path
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the template, as far as they are not to have their defaults."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read PORT (3000), EMULATOR_PORT (4566) and STACK_DIR (.local).

        Raises:
            StackError: a port is no port number, or both are the same.
        """
        port, emulator_port = _port(environment, "PORT", 3000), _port(environment, "EMULATOR_PORT", 4566)
        if port == emulator_port:
            raise StackError(f"PORT and EMULATOR_PORT are both {port}: choose two different ones.")
        return cls(
            port=port,
            emulator_port=emulator_port,
            folder=Path(environment.get("STACK_DIR") or ".local").resolve(),
        )

    @property
    def front_door_url(self) -> str:
        """Where people send tickets to."""
        return f"http://localhost:{self.port}"

    @property
    def temporary(self) -> Path:
        """Where all temporary files go; removed when the stack stops."""
        return self.folder / "tmp"

    @property
    def endpoint_url(self) -> str:
        """The embedded AWS."""
        return f"http://{HOST}:{self.emulator_port}"


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise StackError(f"{name}={text} is no port: choose a number from 1 to 65535.")
    return int(text)
