"""Writes openapi.yaml from openapi.source.yaml, where YAML anchors and aliases spare the repeated blocks.

openapi.yaml is committed, so that `sam build` and every reader of the contract can use it as it is.
`--check` writes nothing and fails if openapi.yaml differs from what would be written.
"""

import sys
from pathlib import Path
from typing import Any, override

import yaml

SHARED_BLOCKS = "x-shared"
FIRST_LINE = "# Generated from api/openapi.source.yaml by `make openapi`. Edit that file, not this one.\n"


class _Dumper(yaml.SafeDumper):
    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def expanded(source: str) -> str:
    """The source with its aliases and merge keys resolved, and without the shared blocks and comments."""
    document = yaml.safe_load(source)
    document.pop(SHARED_BLOCKS, None)
    return FIRST_LINE + yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=sys.maxsize
    )


def main(arguments: list[str], directory: Path = Path(__file__).parent) -> str | None:
    """Writes or checks a directory's openapi.yaml. Returns what is wrong, as `sys.exit` takes it."""
    file = directory / "openapi.yaml"
    document = expanded((directory / "openapi.source.yaml").read_text())
    if arguments != ["--check"]:
        file.write_text(document)
    elif file.read_text() != document:
        return "api/openapi.yaml differs from api/openapi.source.yaml. Run make openapi."
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
