"""Finds telephone and bank account numbers in a normalized text.

Every pattern is either bounded or possessive (it never backtracks), so every text takes linear time.
"""

import re
from collections.abc import Iterator

# An IBAN is written in groups of four; every group after the second contains a digit.
_IBAN = re.compile(
    r"(?<!\w)[a-z]{2}\d{2} ?[a-z0-9]{4}"
    r"(?: ?(?=[a-z]{0,3}\d)[a-z0-9]{4}){1,6}+(?: ?(?=[a-z]{0,3}\d)[a-z0-9]{1,4}(?!\w))?+"
)
_PHONE = re.compile(r"(?<![\w#.-])[+(]?\d[\d ().\-/\u2010-\u2015]{5,30}+")
_PHONE_WORD_BEFORE = re.compile(
    r"(?:call|dial|phone|ring|tel|telefon|teléfono|téléphone|telefono|whatsapp|sms)\W{1,3}+$"
)
_DATE_TIME_OR_PRICE = re.compile(
    r"(?<![\w.+-])(?:\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ]\d{4})(?![\d-])"
    r"|(?<!\d)\d{1,2}:\d{2}(?::\d{2})?(?!\d)"
    r"|[$€£¥₹] ?\d[\d.,']{0,20}"
    r"|(?<![\w+])\d{1,3}(?:[.,' ]?\d{3}){0,4}(?:[.,]\d{1,2})? ?(?:[$€£¥₹]|(?:eur|usd|gbp|chf|jpy|inr)\b)"
)


def find_numbers(text: str) -> Iterator[str]:
    """The numbers in a normalized text, without spaces and punctuation."""
    yield from _phone_numbers(text)
    yield from _account_numbers(text)


def _phone_numbers(text: str) -> Iterator[str]:
    """The digits of telephone numbers, without leading zeros."""
    text = _DATE_TIME_OR_PRICE.sub(" ; ", text)
    for match in _PHONE.finditer(text):
        shown = match[0].rstrip(" .-/(")
        digits = re.sub(r"\D", "", shown)
        follows_phone_word = _PHONE_WORD_BEFORE.search(text[max(0, match.start() - 14) : match.start()])
        if 7 <= len(digits) <= 15 and (follows_phone_word or _is_formatted_as_phone_number(shown)):
            yield digits.lstrip("0")


def _is_formatted_as_phone_number(text: str) -> bool:
    groups = re.findall(r"\d+", text)
    return text.startswith(("+", "(", "00")) or len(groups) > 2 or (len(groups) > 1 and text.startswith("0"))


def _account_numbers(text: str) -> Iterator[str]:
    for match in _IBAN.finditer(text):
        account = match[0].replace(" ", "")
        if len(account) > 14 and sum(map(str.isdecimal, account)) > 8:
            yield account
