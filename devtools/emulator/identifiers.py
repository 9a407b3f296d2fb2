"""Random ids without a system call.

The emulator makes dozens of ids for each execution. For each, `uuid.uuid4` asks the operating system for
random numbers, which gives up the interpreter to the many other threads: under load, that took an eighth of
the time.
"""

import random
import uuid

from devtools.emulator import patch


def install() -> None:
    """Extend the emulator."""
    patch.replace(uuid, "uuid4", _uuid4)


def _uuid4() -> uuid.UUID:
    return uuid.UUID(int=random.getrandbits(128), version=4)
