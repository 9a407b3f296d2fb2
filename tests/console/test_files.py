"""The console stays small, and loads exactly what was vendored from npm."""

import hashlib
import json
import re
from pathlib import Path

CONSOLE = Path(__file__).parents[2] / "console"
VENDOR = CONSOLE / "static" / "vendor"
OTHERS = {"package.json", "package-lock.json", "vendored.json"}
LANGUAGES = (".py", ".html", ".js", ".css", ".svg")


def test_the_code_is_below_1500_lines() -> None:
    files = [file for file in CONSOLE.rglob("*") if file.suffix in LANGUAGES and VENDOR not in file.parents]

    assert len(files) > 20
    assert sum(len(file.read_text().splitlines()) for file in files) < 1_500


def test_the_vendored_files_are_those_of_the_locked_packages() -> None:
    vendored = json.loads((VENDOR / "vendored.json").read_text())
    lock = json.loads((VENDOR / "package-lock.json").read_text())["packages"]
    wanted = json.loads((VENDOR / "package.json").read_text())["dependencies"]

    assert {file.name for file in VENDOR.iterdir()} == vendored.keys() | OTHERS
    for name, source in vendored.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == source["sha256"], name
        locked = lock[f"node_modules/{source['package']}"]
        assert locked["integrity"].startswith("sha512-")
        assert locked["version"] == wanted.get(source["package"], locked["version"])
    scripts = {name for name in vendored if name.endswith(".js")}
    assert {f"{name.removesuffix('.min.js')}.LICENSE" for name in scripts} <= vendored.keys()


def test_the_pages_load_nothing_from_other_hosts() -> None:
    for file in CONSOLE.rglob("*"):
        if file.suffix in (".html", ".css", ".js") and VENDOR not in file.parents:
            urls = set(re.findall(r"https?://[^\s\"'`)]+", file.read_text()))
            assert urls <= {"http://www.w3.org/2000/svg"}, file
