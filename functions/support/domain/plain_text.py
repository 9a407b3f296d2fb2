"""Makes text safe to show in a mail client or a terminal."""

import re

from support.domain.ticket_fields import replace_lone_surrogates

MAX_EXCERPT = 140
# Removes an ANSI escape sequence as a whole: without its first character, the rest would be visible.
_ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-?]*+[ -/]*+[@-~]|\x1b\][^\x07\x1b]*+(?:\x07|\x1b\\)")
_LINE_END = re.compile(r"\r\n?|[\u0085\u2028\u2029]")

# Keeps joiners (U+200C, U+200D) and direction marks (U+200E, U+200F, U+061C): Persian, Hindi, Hebrew, Arabic
# and emoji need them, and they do not reorder text.
_INVISIBLE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters except tab and line feed
    "\u202a-\u202e\u2066-\u2069"  # bidirectional overrides, embeddings and isolates
    "\u00ad\u034f\u115f\u1160\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0"  # zero-width and blank
    "\ufff9-\ufffb\U000e0000-\U000e0fff"  # annotations; tags, which can encode hidden text
    "]"
)


def readable(text: str) -> str:
    """The text without invisible characters, with line feeds as line ends, and trimmed."""
    text = _LINE_END.sub("\n", _ESCAPE_SEQUENCE.sub("", text))
    return _INVISIBLE.sub("", replace_lone_surrogates(text)).strip()


def readable_line(text: str) -> str:
    """The readable text on one line, so that it cannot imitate the lines around it."""
    return " ".join(readable(text).split())


def quoted(text: str) -> str:
    """The readable text with `> ` before every line, as in a reply to a mail."""
    return "\n".join(f"> {line}".rstrip() for line in readable(text).split("\n"))


def excerpt(text: str) -> str:
    """The beginning of the text on one line, in at most MAX_EXCERPT characters."""
    return shortened(readable_line(text), MAX_EXCERPT)


def shortened(text: str, limit: int) -> str:
    """The text, cut to at most `limit` characters."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
