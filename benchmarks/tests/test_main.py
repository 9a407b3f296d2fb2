import pytest

from benchmarks.__main__ import chosen_parts


def test_all_parts_are_chosen_by_default_and_some_by_name() -> None:
    assert {"load", "single", "cold", "reads"} <= set(chosen_parts({"PARTS": ""}))
    assert list(chosen_parts({"PARTS": "single,load"})) == ["single", "load"]


def test_an_unknown_part_is_rejected_by_name() -> None:
    with pytest.raises(ValueError, match=r"PARTS must name some of load, .*, not lod\."):
        chosen_parts({"PARTS": "lod,single"})
