"""What the commands print while they run."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def echo(text: str) -> None:
    """Print a line and flush it, because the output may be a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def printable(text: str) -> str:
    """Untrusted text with its control and formatting characters escaped, which a terminal would obey."""
    return "".join(
        character if character.isprintable() or character == "\n" else f"\\u{ord(character):04x}"
        for character in text
    )


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print the title of a step, and how many seconds the block took."""
    started = time.monotonic()
    sys.stdout.write(f"{title} … ")
    sys.stdout.flush()
    try:
        yield
    except BaseException:
        echo("")
        raise
    echo(f"{time.monotonic() - started:.0f} s")
