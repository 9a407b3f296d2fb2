"""Brings a text into the form in which addresses are compared.

Every pattern is either bounded or possessive (it never backtracks), so every text takes linear time.
"""

import re
import unicodedata
from urllib.parse import unquote

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_NON_ASCII_DIGIT = re.compile(r"[^\D0-9]")

_DEFANGED_DOT = re.compile(
    r"[ \t]{0,3}[\[({<][ \t]{0,3}(?:\.|dot|punkt|punto|point)[ \t]{0,3}[\])}>][ \t]{0,3}"
    r"|&#0{0,5}46;|&#x0{0,5}2e;|&period;|(?<=[a-z0-9])。(?=[a-z0-9])"
    # In running text, "dot" counts only before a top-level domain.
    r"|[ \t]{1,3}(?:dot|punkt|punto|point)[ \t]{1,3}"
    r"(?=(?:com|net|org|info|biz|io|co|app|dev|me|ru|cn|top|xyz|shop|site|online|club|live|example|test)\b)"
)
_DEFANGED_AT = re.compile(r"[ \t]{0,3}[\[({<][ \t]{0,3}(?:@|at)[ \t]{0,3}[\])}>][ \t]{0,3}")
_DEFANGED_COLON = re.compile(r"\[(:|://)\]")
_DEFANGED_SCHEME = re.compile(r"(?<!\w)h(?:xx|tx|xt|\*\*)p(s?)(?=://|:\\\\|\[:)")


def normalize(text: str) -> str:
    """The text in NFKC and lower case, without invisible characters, with ASCII digits."""
    if text.isascii():
        return text.lower()
    visible = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold()
    return _NON_ASCII_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), visible)


def refang(text: str) -> str:
    """The normalized text with defanged addresses (`hxxps://evil[.]example`) as a reader would type them."""
    if "%" in text:
        text = unquote(text).lower()
    for pattern, replacement in (
        (_DEFANGED_SCHEME, r"http\1"),
        (_DEFANGED_COLON, r"\1"),
        (_DEFANGED_DOT, "."),
        (_DEFANGED_AT, "@"),
    ):
        text = pattern.sub(replacement, text)
    return text
