"""Find texts that are hidden in a text: encoded, invisible, mirrored, or written in look-alike letters."""

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Callable, Iterator
from urllib.parse import unquote

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEXADECIMAL = re.compile(r"(?:[0-9A-Fa-f]{2}[ :]?){12,}")
_UNICODE_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})")
_RIGHT_TO_LEFT_OVERRIDE = re.compile("\u202e([^\u202c\n]*)\u202c?")
_TAG_CHARACTERS = {code: code - 0xE0000 for code in range(0xE0020, 0xE007F)}
_LOOK_ALIKES = str.maketrans(
    "АВЕКМНОРСТХаеіорсухΑΒΕΖΗΙΚΜΝΟΡΤΥΧο",  # noqa: RUF001 - Cyrillic and Greek
    "ABEKMHOPCTXaeiopcyxABEZHIKMNOPTYXo",
)
_MAX_NESTING = 2


def deobfuscate(text: str) -> list[str]:
    """Return the text and all texts that are hidden in it, the most deeply hidden ones last."""
    texts = {text: None}
    for _ in range(_MAX_NESTING):
        texts |= {hidden: None for known in list(texts) for hidden in _hidden_in(known)}
    return list(texts)


def decode_base64(text: str) -> str | None:
    """Decode base64; returns None if the result is not printable text."""
    padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
    return _printable(lambda: base64.b64decode(padded, altchars=b"-_" if set(text) & {"-", "_"} else None))


def _hidden_in(text: str) -> Iterator[str]:
    for transform in (
        _as_displayed,
        html.unescape,
        unquote,
        _unescape_unicode,
        _reverse_overridden,
        _rotate,
        _reverse,
    ):
        yield transform(text)
    for pattern, decode in ((_BASE64, decode_base64), (_HEXADECIMAL, _decode_hexadecimal)):
        yield from filter(None, (decode(match[0]) for match in pattern.finditer(text)))


def _decode_hexadecimal(text: str) -> str | None:
    return _printable(lambda: bytes.fromhex(text.replace(":", "").replace(" ", "")))


def _printable(decode: Callable[[], bytes]) -> str | None:
    try:
        text = decode().decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    return text if sum(map(str.isprintable, text)) > 0.8 * len(text) else None


def _as_displayed(text: str) -> str:
    """The text without invisible characters, and with Latin letters in place of look-alikes."""
    normalized = unicodedata.normalize("NFKC", text.translate(_TAG_CHARACTERS))
    visible = "".join(char for char in normalized if unicodedata.category(char) != "Cf")
    return visible.translate(_LOOK_ALIKES)


def _unescape_unicode(text: str) -> str:
    return _UNICODE_ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


def _reverse_overridden(text: str) -> str:
    return _RIGHT_TO_LEFT_OVERRIDE.sub(lambda match: match[1][::-1], text)


def _rotate(text: str) -> str:
    return codecs.encode(text, "rot13") if "rot13" in text.casefold() else text


def _reverse(text: str) -> str:
    return text[::-1] if "backwards" in text.casefold() else text
