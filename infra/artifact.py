"""Completes what `sam build` has written: `python -m infra.artifact .aws-sam/build`.

All functions are built from the same code, but sam builds, packs and uploads a folder for each. Here one of
the folders becomes the package of all functions, with two changes:

- It has bytecode, which Lambda cannot store: without it, every cold start compiles all modules again. Python
  ignores bytecode of another Python version, or of another source.
- Large parts of packages that no function uses are removed.

The same sources give the same package, byte by byte, so that a deployment finds nothing changed.
"""

import json
import sys
import zipfile
from compileall import compile_dir
from pathlib import Path
from py_compile import PycInvalidationMode
from shutil import rmtree

from infra.assemble import read_template

CODE = "code"
_PACKAGE = "code.zip"
# A web page for API documentation, and an authorizer.
_UNUSED = (
    "aws_lambda_powertools/event_handler/openapi/swagger_ui",
    "aws_lambda_powertools/utilities/auth_alpha",
)


def complete(build: Path) -> None:
    """Complete a build: all functions in template.yaml get the package `code.zip`, made from `code`."""
    first, *others = sorted(path for path in build.iterdir() if path.is_dir())
    for other in others:
        rmtree(other)
    code = first.rename(build / CODE)
    for unused in _UNUSED:
        rmtree(code / unused, ignore_errors=True)
    # The bytecode has the hash of its source, because a package does not keep the time of the last change.
    compile_dir(code, quiet=1, stripdir=str(code), invalidation_mode=PycInvalidationMode.CHECKED_HASH)
    _pack(code, build / _PACKAGE)
    _use_package(build / "template.yaml")


def _pack(code: Path, package: Path) -> None:
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in code.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(str(path.relative_to(code)))
            # Lambda runs functions as another user, who must be able to read them.
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)


def _use_package(template_file: Path) -> None:
    template = read_template(template_file)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = _PACKAGE
    # JSON is YAML, too, and sam reads it in a tenth of the time.
    template_file.write_text(json.dumps(template, indent=2))


if __name__ == "__main__":
    complete(Path(sys.argv[1]))
