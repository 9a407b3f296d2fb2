"""All that a clever reader finds in a text: what is encoded, invisible, mirrored or dressed up in it."""

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
_ESCAPED = re.compile(r"\\u([0-9A-Fa-f]{4})")
_MIRRORED = re.compile("\u202e([^\u202c\n]*)\u202c?")
_TAGS = {code: code - 0xE0000 for code in range(0xE0020, 0xE007F)}
_LOOK_ALIKES = str.maketrans(
    "АВЕКМНОРСТХаеіорсухΑΒΕΖΗΙΚΜΝΟΡΤΥΧο",  # noqa: RUF001 - Cyrillic and Greek
    "ABEKMHOPCTXaeiopcyxABEZHIKMNOPTYXo",
)
_DEPTH = 2


def readings(text: str) -> list[str]:
    """The text, and every other text that can be read out of it, the hidden ones last."""
    found = {text: None}
    for _ in range(_DEPTH):
        found |= {reading: None for known in list(found) for reading in _readings_of(known)}
    return list(found)


def _readings_of(text: str) -> Iterator[str]:
    for read in (_seen, html.unescape, unquote, _unescaped, _mirrored, _rotated, _reversed):
        yield read(text)
    for pattern, decode in ((_BASE64, decoded), (_HEXADECIMAL, _from_hexadecimal)):
        yield from filter(None, (decode(found[0]) for found in pattern.finditer(text)))


def decoded(text: str) -> str | None:
    """What the text is the base64 of; None when that is no text."""
    padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
    return _text_of(lambda: base64.b64decode(padded, altchars=b"-_" if set(text) & {"-", "_"} else None))


def _from_hexadecimal(text: str) -> str | None:
    return _text_of(lambda: bytes.fromhex(text.replace(":", "").replace(" ", "")))


def _text_of(decode: Callable[[], bytes]) -> str | None:
    try:
        text = decode().decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    return text if sum(map(str.isprintable, text)) > 0.8 * len(text) else None


def _seen(text: str) -> str:
    """The text as a person sees it: nothing invisible, and the letters that it seems to hold."""
    spelled_out = unicodedata.normalize("NFKC", text.translate(_TAGS))
    return "".join(char for char in spelled_out if unicodedata.category(char) != "Cf").translate(_LOOK_ALIKES)


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda escape: chr(int(escape[1], 16)), text)


def _mirrored(text: str) -> str:
    return _MIRRORED.sub(lambda run: run[1][::-1], text)


def _rotated(text: str) -> str:
    return codecs.encode(text, "rot13") if "rot13" in text.casefold() else text


def _reversed(text: str) -> str:
    return text[::-1] if "backwards" in text.casefold() else text
