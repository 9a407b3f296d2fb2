"""The step that generates api/openapi.yaml from api/openapi.source.yaml."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from api import build

SOURCE = """
x-shared:
  - &headers { Cache-Control: {} }
paths:
  /a: &a
    headers: { <<: *headers, Retry-After: {} }
  /b: *a
  /c:
    <<: *a
    template: |
      first
        second
    status: "202"
"""


def test_the_committed_contract_matches_its_source() -> None:
    assert build.main(["--check"]) is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "openapi.source.yaml").write_text(SOURCE)
    (tmp_path / "openapi.yaml").write_text("an earlier document")
    return tmp_path


def test_the_check_of_an_outdated_document_says_what_to_do_and_writes_nothing(folder: Path) -> None:
    assert build.main(["--check"], folder) == (
        "api/openapi.yaml differs from api/openapi.source.yaml. Run make openapi."
    )
    assert (folder / "openapi.yaml").read_text() == "an earlier document"


def test_the_written_document_passes_the_check_and_is_the_same_every_time(folder: Path) -> None:
    assert build.main([], folder) is None
    written = (folder / "openapi.yaml").read_text()
    assert build.main(["--check"], folder) is None
    assert build.main([], folder) is None
    assert (folder / "openapi.yaml").read_text() == written


def test_aliases_and_merge_keys_are_resolved_and_shared_blocks_are_removed() -> None:
    headers: dict[str, Any] = {"Cache-Control": {}, "Retry-After": {}}
    assert yaml.safe_load(build.expanded(SOURCE)) == {
        "paths": {
            "/a": {"headers": headers},
            "/b": {"headers": headers},
            "/c": {"headers": headers, "template": "first\n  second\n", "status": "202"},
        }
    }


def test_the_committed_contract_has_no_aliases_and_starts_with_a_note_that_it_is_generated() -> None:
    contract = (Path(build.__file__).parent / "openapi.yaml").read_text()
    tokens = {type(token) for token in yaml.scan(contract)}
    assert not tokens & {yaml.AnchorToken, yaml.AliasToken}
    assert not re.findall(r"<<|x-shared", contract)
    assert contract.startswith(
        "# Generated from api/openapi.source.yaml by `make openapi`. Edit that file, not this one.\n"
    )
