"""Install uv where Python comes without venv and pip, as on a bare Debian: from its wheel on PyPI.

Run by the Makefile as `python3 local/install_uv.py VERSION TARGET`, on whatever Python 3 there is: only the
standard library, and no syntax newer than Python 3.8.
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
    """Download, check and unpack uv."""
    version, target = sys.argv[1], Path(sys.argv[2])
    listing = json.loads(_get("https://pypi.org/simple/uv/", accept="application/vnd.pypi.simple.v1+json"))
    wheels = [file for file in listing["files"] if _fits(file["filename"], version)]
    if not wheels:
        sys.exit("PyPI has no uv for this machine: install it from https://docs.astral.sh/uv and try again.")
    content = _get(wheels[0]["url"], accept="*/*")
    if hashlib.sha256(content).hexdigest() != wheels[0]["hashes"]["sha256"]:
        sys.exit("The download of uv is damaged: try again.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (binary,) = [name for name in archive.namelist() if name.endswith(".data/scripts/uv")]
        target.write_bytes(archive.read(binary))
    target.chmod(0o755)


def _get(url: str, accept: str) -> bytes:
    request = urllib.request.Request(url, headers={"Accept": accept})  # noqa: S310 - addresses of PyPI
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return bytes(answer.read())


def _fits(filename: str, version: str) -> bool:
    if not filename.startswith(f"uv-{version}-"):
        return False
    machine = platform.machine().lower()
    if sys.platform == "darwin":
        return "macosx" in filename and filename.endswith(f"_{machine}.whl")
    return "manylinux" in filename and filename.endswith(f"_{_MACHINES.get(machine, machine)}.whl")


if __name__ == "__main__":
    main()
