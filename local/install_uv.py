"""Install uv from its wheel on PyPI where Python has neither venv nor pip, as on a bare Debian.

The Makefile runs `python3 local/install_uv.py VERSION TARGET` with any Python 3. Therefore this file uses
only the standard library, and no syntax newer than Python 3.8.
"""

import hashlib
import io
import json
import platform
import sys
import urllib.request
import zipfile
from pathlib import Path

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def main() -> None:
    """Download uv, verify its hash, and unpack it."""
    version, target = sys.argv[1], Path(sys.argv[2])
    listing = json.loads(_get("https://pypi.org/simple/uv/", accept="application/vnd.pypi.simple.v1+json"))
    wheels = [file for file in listing["files"] if _is_for_this_machine(file["filename"], version)]
    if not wheels:
        sys.exit("PyPI has no uv for this machine. Install uv from https://docs.astral.sh/uv and try again.")
    content = _get(wheels[0]["url"], accept="*/*")
    if hashlib.sha256(content).hexdigest() != wheels[0]["hashes"]["sha256"]:
        sys.exit("The download of uv is corrupt. Try again.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (binary,) = [name for name in archive.namelist() if name.endswith(".data/scripts/uv")]
        target.write_bytes(archive.read(binary))
    target.chmod(0o755)


def _get(url: str, accept: str) -> bytes:
    request = urllib.request.Request(url, headers={"Accept": accept})  # noqa: S310 - only URLs of PyPI
    with urllib.request.urlopen(request) as response:  # noqa: S310
        return bytes(response.read())


def _is_for_this_machine(filename: str, version: str) -> bool:
    if not filename.startswith(f"uv-{version}-"):
        return False
    machine = platform.machine().lower()
    if sys.platform == "darwin":
        return "macosx" in filename and filename.endswith(f"_{machine}.whl")
    return "manylinux" in filename and filename.endswith(f"_{_MACHINES.get(machine, machine)}.whl")


if __name__ == "__main__":
    main()
