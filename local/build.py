"""Building the functions, with the same sam command as for a real account."""

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from pathlib import Path

from infra import artifact
from infra.assemble import write_whole_template
from local.emulator import Emulator
from local.sam import sam
from local.settings import PROJECT, Settings

BUILD = PROJECT / ".local" / "build"


def build(settings: Settings, emulator: Emulator) -> None:
    """Build the functions, unless no source has changed since the last build of any local stack.

    Raises:
        StackError: the build failed.
    """
    stamp = BUILD.with_suffix(".sha256")
    stamp.parent.mkdir(exist_ok=True)
    # All stacks share one build: sam keeps its working files in .aws-sam, whatever the build folder is.
    with build_lock(LOCK_EX):
        fingerprint = _fingerprint()
        if stamp.exists() and stamp.read_text() == fingerprint and BUILD.exists():
            return
        stamp.unlink(missing_ok=True)
        template = str(write_whole_template())
        sam(settings, emulator, "build", "--template-file", template, "--build-dir", str(BUILD))
        artifact.complete(BUILD)
        stamp.write_text(fingerprint)


@contextmanager
def build_lock(kind: int) -> Iterator[None]:
    """Lock the build folder: LOCK_SH to read it, LOCK_EX to write it."""
    with BUILD.with_suffix(".lock").open("w") as file:
        flock(file, kind)
        yield


def _fingerprint() -> str:
    """A hash of everything that a build depends on."""
    digest = hashlib.sha256(sys.version.encode())
    sources = [PROJECT / "template.yaml", PROJECT / "samconfig.toml"]
    for folder in ("api", "functions", "infra", "statemachine"):
        sources += sorted(path for path in (PROJECT / folder).rglob("*") if _is_source(path))
    for path in sources:
        digest.update(f"{path.relative_to(PROJECT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _is_source(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts and ".egg-info" not in str(path)
