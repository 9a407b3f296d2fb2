"""Workers share the extracted package of their code.

The emulator extracts the package again for every worker that it starts, which takes longer than the start
itself. Here each package is extracted once, and a worker's folder is a link to it. Functions cannot depend on
a folder of their own: on AWS, their code is in /var/task, which is read-only.

Source: Lambda developer guide, "Lambda execution environment lifecycle".
"""

import hashlib
import tempfile
import zipfile
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any, override

from ministack.core import lambda_runtime

from devtools.emulator import patch

_CODE_FOLDER = "code"


def install() -> None:
    """Extend the emulator."""
    patch.replace(lambda_runtime, "zipfile", SimpleNamespace(**vars(zipfile) | {"ZipFile": _Package}))


class _Package(zipfile.ZipFile):
    """A function's package, or a layer, which is extracted as usual."""

    _lock = Lock()

    @override
    def extractall(self, path: Any = None, members: Any = None, pwd: bytes | None = None) -> None:
        target = Path(path)
        if target.name != _CODE_FOLDER:
            super().extractall(path, members, pwd)
            return
        digest = hashlib.sha256(Path(str(self.filename)).read_bytes()).hexdigest()
        shared = Path(tempfile.gettempdir()) / f"code-{digest}"
        with self._lock:
            if not shared.exists():
                super().extractall(shared)
        target.rmdir()
        target.symlink_to(shared)
