"""What may stand in a text that a person reads in a mail client or a terminal: only what can be seen."""

import re

# ANSI escape sequences go as a whole: without its first character the rest of one would stay to be read.
_ESCAPE = re.compile(r"\x1b\[[0-?]*+[ -/]*+[@-~]|\x1b\][^\x07\x1b]*+(?:\x07|\x1b\\)")
_LINE_END = re.compile(r"\r\n?|[\u0085\u2028\u2029]")

# Joiners (U+200C, U+200D) and direction marks (U+200E, U+200F, U+061C) stay: Persian, Hindi, Hebrew, Arabic
# and emoji are written with them, and they reorder nothing.
_UNSEEN = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls but tab and line feed
    "\u202a-\u202e\u2066-\u2069"  # bidirectional overrides, embeddings and isolates
    "\u00ad\u034f\u115f\u1160\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0"  # no width, no ink
    "\ufff9-\ufffb\U000e0000-\U000e0fff"  # annotations; tags, which can spell out a hidden text
    "]"
)


def readable(text: str) -> str:
    """The text without what cannot be seen, with line feeds as line ends, trimmed.

    Half a character (a lone surrogate), which has no UTF-8 form, becomes U+FFFD.
    """
    text = _LINE_END.sub("\n", _ESCAPE.sub("", text))
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _UNSEEN.sub("", whole).strip()


def readable_line(text: str) -> str:
    """The same on one line: a text that stands beside others must not look like more of them."""
    return " ".join(readable(text).split())


def quoted(text: str) -> str:
    """The same with every line marked as somebody's words, as mail programs do."""
    return "\n".join(f"> {line}".rstrip() for line in readable(text).split("\n"))


def shortened(text: str, limit: int) -> str:
    """The text in at most `limit` characters."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
