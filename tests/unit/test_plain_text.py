"""What is left of a text for a person to read."""

import pytest

from support.domain.plain_text import quoted, readable, readable_line


@pytest.mark.parametrize(
    ("text", "seen"),
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
def test_what_cannot_be_seen_is_left_out(text: str, seen: str) -> None:
    assert readable(text) == seen


@pytest.mark.parametrize(
    "text", ["👩‍👩‍👧 🇪🇺 ❤️", "می‌خواهم", "שלום \u200eabc", "नमस्ते", "é ñ ß 你好", "a & b < c > d \"e\" 'f' \\g"]
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert readable(text) == text


def test_a_line_is_one_line() -> None:
    assert readable_line("one\r\n two\t\x0bthree\n") == "one two three"


def test_quoted_words_are_marked_line_by_line() -> None:
    assert quoted("one\n\n--- two ---") == "> one\n>\n> --- two ---"
