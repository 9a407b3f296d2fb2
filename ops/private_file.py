"""Files with what customers wrote."""

import os
from pathlib import Path

from ops.options import UsageError


def write_new(file: Path, text: str) -> None:
    """Write a new file that only its owner can read.

    Raises:
        UsageError: the file exists, or cannot be written.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as new:
            new.write(text)
            new.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise UsageError(f"SAVE={file} cannot be written: {error.strerror}.") from error
