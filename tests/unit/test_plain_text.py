"""Text for people: invisible characters are removed, everything else is kept."""

import pytest

from support.domain.plain_text import MAX_EXCERPT, excerpt, quoted, readable, readable_line


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("one\ntwo\tthree", "one\ntwo\tthree"),
        ("one\r\ntwo\rthree\u2028four\x85five", "one\ntwo\nthree\nfour\nfive"),
        ("\x00a\x07b\x1fc\x7fd\x9be", "abcde"),
        ("\x1b[2J\x1b[1;31mred\x1b[0m \x1b]0;title\x07window", "red window"),
        ("\x1b[", "["),
        ("pay \u202eelpmaxe\u202c \u2066now\u2069", "pay elpmaxe now"),
        ("in\u200bvis\u2060ib\ufeffle\u00ad", "invisible"),
        ("tag\U000e0041ged", "tagged"),
        ("half \ud83d", "half \ufffd"),
        ("  trimmed \n", "trimmed"),
        ("\u200b\u202e\x00", ""),
    ],
)
def test_invisible_characters_are_removed(text: str, visible: str) -> None:
    assert readable(text) == visible


@pytest.mark.parametrize(
    "text", ["👩‍👩‍👧 🇪🇺 ❤️", "می‌خواهم", "שלום \u200eabc", "नमस्ते", "é ñ ß 你好", "a & b < c > d \"e\" 'f' \\g"]
)
def test_visible_text_is_unchanged(text: str) -> None:
    assert readable(text) == text


def test_a_readable_line_has_no_line_breaks() -> None:
    assert readable_line("one\r\n two\t\x0bthree\n") == "one two three"


def test_an_excerpt_is_the_beginning_of_the_text_on_one_line() -> None:
    assert excerpt(" one\n\u202etwo ") == "one two"
    assert excerpt("x" * MAX_EXCERPT) == "x" * MAX_EXCERPT
    assert excerpt("😀" * (MAX_EXCERPT + 1)) == "😀" * (MAX_EXCERPT - 1) + "…"
    assert excerpt("half \ud83d") == "half \ufffd"


def test_every_line_of_a_quotation_is_marked() -> None:
    assert quoted("one\n\n--- two ---") == "> one\n>\n> --- two ---"
