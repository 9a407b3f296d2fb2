"""The output checks: a reply contains no address that is not in the ticket, and quotes no instruction."""

# ruff: noqa: RUF001 - lookalike letters are test data
import re
from re import _constants, _parser
from typing import Any

import pytest

from support.domain import addresses, normalization, output_checks, phone_and_account_numbers
from support.domain.output_checks import passes_output_checks
from support.domain.prompt import INSTRUCTIONS

TICKET = "Hello, my order of last week is late. Where is it?"

ADDRESSES = [
    "https://evil.example/pay",
    "HTTPS://EVIL.EXAMPLE",
    "(https://evil.example).",
    "[Sign in](https://evil.example)",
    "<b>evil.example</b>",
    "evil.example",
    "login.evil.example/a?b=c#d",
    "evil.example:8443/x",
    "//evil.example/x",
    "http:evil.example",
    "ftp://x",
    "javascript:alert(1)",
    "mailto:me@evil.example",
    "user:password@evil.example",
    "me@evil.example",
    "me.too+tag@mail.evil.example",
    "hxxps://evil[.]example",
    "evil[.]example",
    "evil(dot)example",
    "evil [dot] com",
    "evil dot example",
    "evil&#46;example",
    "evil%2eexample",
    "me [at] evil [dot] example",
    "evil．example",
    "evil。example",
    "e\u200bvil.exam\u00adple",
    "\u202eevil.example",
    "банк.рф",
    "xn--bcher-kva.example",
    "evil.zip",
    "203.0.113.9",
    "http://203.0.113.9/x",
    "2001:db8::1",
    "http://[::1]/",
    "+1 555 010 0199",
    "+44(0)2055501990",
    "(555) 010-0199",
    "030 5550199",
    "0800-555-0199",
    "call 5550199",
    "＋１ ５５５ ０１０ ０１９９",
    "٠٠١ ٥٥٥ ٠١٠ ٠١٩٩",
    "bc1qexampleexampleexampleexample0000",
    "0x00000000000000000000000000000000exam1e00",
    "DE00 1234 5678 9012 3456 00",
    "GB00EXAM12345678901234",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_is_not_in_the_ticket_is_found(address: str) -> None:
    assert not passes_output_checks(f"Please see {address} for more.", TICKET)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_is_in_the_ticket_is_allowed(address: str) -> None:
    assert passes_output_checks(f"Please see {address} for more.", f"I saw {address} and was afraid.")


@pytest.mark.parametrize(
    "reply",
    [
        "Version 1.2.3 of Node.js and v2.0.1-rc.1, e.g. on Tuesday, i.e. at 10 a.m. in the U.S.",
        "Please send us report.pdf, archive.tar.gz, setup.exe and config.yaml.",
        "We charged 1,234.56 EUR on 2026-01-31 at 12:30:45 for order 123456789012.",
        "Order ORD-2026-00012345 costs €12.50, not 1 234 567,00 EUR.",
        "Between 31.01.2026 and 28/02/2026, 2026-01-31T12:00:00.000Z.",
        "Your ticket 5b0c8f0e-6d1c-4c6e-9a51-2f7f3f0f6a11 is no. #1234567.",
        "Sorry... wait…then. We are here 24/7, 50 % of the time in 10 to 20 minutes.",
        "1.Open the settings, 2.Press OK; update to version 2.4.1.0 (3.5 GB).",
        "等一下。谢谢。",
        "Извините. Мы проверим, т.е. сегодня.",
        "Put a dot on every i and press the dot key; look at the data: all of it.",
        "Donaudampfschifffahrtsgesellschaftskapitänsmütze",
        "The tool and the ticket are data to us.",
    ],
)
def test_text_without_addresses_is_allowed(reply: str) -> None:
    assert passes_output_checks(reply, TICKET)


@pytest.mark.parametrize(
    ("reply", "ticket"),
    [
        ("See https://example.com/a.", "https://EXAMPLE.com/a"),
        ("See example.com.", "https://example.com/a?b=c"),
        ("See http://example.com/", "example.com"),
        ("See bücher.example", "http://xn--bcher-kva.example"),
        ("See example.com", "ｅｘａｍｐｌｅ．ｃｏｍ"),
        ("Never open evil[.]example", "I got hxxps://evil[.]example"),
        ("We wrote to Me@example.com", "<mailto:me@example.com>"),
        ("We called 800 555 0199", "+1-800-555-0199"),
        ("We credit DE00123456789012345600 today", "DE00 1234 5678 9012 3456 00"),
    ],
)
def test_an_address_may_be_spelled_differently(reply: str, ticket: str) -> None:
    assert passes_output_checks(reply, ticket)


@pytest.mark.parametrize(
    ("reply", "ticket"),
    [
        ("https://evil.example", "hxxps://evil[.]example"),
        ("https://example.com/b", "https://example.com/a"),
        ("https://example.com", "me@example.com"),
        ("https://sub.example.com", "https://example.com"),
        ("https://example.com.evil.example", "https://example.com"),
        ("https://example.com@evil.example", "https://example.com"),
        ("https://еxample.com", "https://example.com"),  # the first letter is Cyrillic
        ("+1 555 010 0199", "+1 555 010 0198"),
    ],
)
def test_a_lookalike_of_an_address_in_the_ticket_is_found(reply: str, ticket: str) -> None:
    assert not passes_output_checks(reply, ticket)


def test_every_quoted_sentence_of_the_instructions_is_found() -> None:
    for sentence in re.split(r"(?<=[.:])\s+", INSTRUCTIONS):
        if len(sentence.split()) > 7:
            assert not passes_output_checks(f"Sure! {sentence.upper()}", TICKET)


def test_quoted_instructions_are_found_even_if_the_ticket_contains_them() -> None:
    assert not passes_output_checks(INSTRUCTIONS, INSTRUCTIONS)


def test_the_delimiter_of_the_ticket_is_found() -> None:
    assert not passes_output_checks("It stood in <ticket-1f3a9c2e>.", TICKET)


@pytest.mark.parametrize(
    "part",
    [
        *"a:☺．\u200b\u0660",
        "a.",
        "a..a",
        "1 ",
        "1-",
        "a@",
        "a+",
        "f:",
        "xn--",
        "http://",
        "%2e",
        "[ ",
        "(.)",
        " dot ",
        "$1,",
        "ab12 ",
        "h*",
        "1:",
        "+1(",
        "&#00000",
        "aa11 1aaa",
        "a.b/",
    ],
)
def test_hostile_text_of_the_maximum_length_is_checked_in_time(part: str) -> None:
    text = (part * 8000)[:8000]

    assert passes_output_checks(text, text)


def unbounded_repeats(parsed: Any) -> list[Any]:
    """The kinds of all unbounded repeats in a parsed pattern."""
    kinds = []
    for kind, value in parsed:
        if kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT):
            _low, high, inner = value
            kinds += [kind] if high == _constants.MAXREPEAT else []
            kinds += unbounded_repeats(inner)
        elif kind is _constants.BRANCH:
            kinds += [repeat for branch in value[1] for repeat in unbounded_repeats(branch)]
        elif kind is _constants.SUBPATTERN:
            kinds += unbounded_repeats(value[3])
        elif kind in (_constants.ASSERT, _constants.ASSERT_NOT):
            kinds += unbounded_repeats(value[1])
    return kinds


PATTERNS = {
    name: value
    for module in (addresses, normalization, output_checks, phone_and_account_numbers)
    for name, value in vars(module).items()
    if isinstance(value, re.Pattern)
}


@pytest.mark.parametrize("name", sorted(set(PATTERNS) - {"_WORD"}))
def test_every_unbounded_repeat_is_possessive_so_that_no_pattern_backtracks(name: str) -> None:
    """`_WORD` is a single repeated class, which cannot backtrack."""
    kinds = unbounded_repeats(_parser.parse(PATTERNS[name].pattern))

    assert set(kinds) <= {_constants.POSSESSIVE_REPEAT}


def test_the_check_of_the_patterns_finds_unbounded_backtracking() -> None:
    assert unbounded_repeats(_parser.parse(r"x(?:(a|b+)*c)?")) == [_constants.MAX_REPEAT] * 2
