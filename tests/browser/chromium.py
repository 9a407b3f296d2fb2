"""Find a Chromium for the browser tests. `python -m tests.browser.chromium` installs one if there is none."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from playwright.sync_api import Playwright, sync_playwright

_NAMES = ("chromium", "google-chrome", "google-chrome-stable")
_MISSING = """\
The browser tests need Chromium, and it could not be installed. Install it yourself and try again:
  Debian          sudo apt-get install chromium
  Ubuntu          sudo .venv/bin/playwright install --with-deps chromium
  macOS, others   Google Chrome, or .venv/bin/playwright install chromium"""


def find(playwright: Playwright) -> str | None:
    """The path of a Chromium or Chrome on PATH or, if there is none, of Playwright's own."""
    for name in _NAMES:
        # Ubuntu's snap cannot read a profile in /tmp.
        if (path := shutil.which(name)) and not Path(path).resolve().is_relative_to("/snap"):
            return path
    own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


def main() -> int:
    """Install a Chromium if there is none; return the exit code."""
    if _is_installed() or any(_succeeds(command) and _is_installed() for command in _installations()):
        return 0
    sys.stderr.write(f"{_MISSING}\n")
    return 1


def _is_installed() -> bool:
    with sync_playwright() as playwright:
        return find(playwright) is not None


def _installations() -> Iterator[Sequence[str]]:
    is_root = os.geteuid() == 0
    if is_root and _distribution() == "debian":
        yield "sh", "-c", "apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium"
    playwright = (sys.executable, "-m", "playwright", "install", "--no-shell", "chromium")
    # On systems that Playwright does not know it installs no packages, but the browser may run all the same.
    if is_root:
        yield *playwright, "--with-deps"
    yield playwright


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["ID"]
    except OSError:  # not Linux
        return ""


def _succeeds(command: Sequence[str]) -> bool:
    sys.stderr.write(f"Installing Chromium: {' '.join(command)}\n")
    return subprocess.run(command, stdout=sys.stderr, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
