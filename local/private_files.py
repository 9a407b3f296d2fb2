"""Files that only their owner can read."""

import os
from pathlib import Path
from typing import BinaryIO


def open_private(path: Path) -> BinaryIO:
    """Replace the file, if there is one, by a new one of mode 600, and open it for writing."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def write_private(path: Path, text: str) -> None:
    """Write the text to a new file of mode 600."""
    with open_private(path) as file:
        file.write(text.encode())
