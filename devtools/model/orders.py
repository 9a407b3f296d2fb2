"""The orders that a text gives to the model that reads it, in the words of orders.json.

An order sets a field (`urgency: X`, `set the urgency to X`, a JSON object, an XML element), has words said
(`include "X" in the summary`), has the instructions or the delimiter shown, has a tool called, or none.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devtools.model.readings import decoded, readings

_WORDS: Mapping[str, Any] = json.loads(Path(__file__).with_name("orders.json").read_text(encoding="utf-8"))
_FIELDS: Mapping[str, list[str]] = _WORDS["fields"]
_TEXTS = ("summary", "response")
_MOST_TIMES = 10_000

_QUOTED = r"(?:\"[^\"]+\"|“[^”]+”|„[^“”]+[“”]|«[^»]+»|「[^」]+」|`[^`]+`|(?<!\w)'[^']+'(?!\w))"
_CHAIN = rf"{_QUOTED}(?:\s*\+\s*{_QUOTED})*"
_BARE_ADDRESS = r"(?:https?://[^\s\"'<>]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\+\d[\d ().-]{5,}\d)"


def _any_of(words: Iterable[str]) -> str:
    """A pattern for any of the words; those of Chinese, Japanese and Korean have no ends to be seen."""
    return "(?:" + "|".join(sorted(map(_word, words), key=len, reverse=True)) + ")"


def _word(word: str) -> str:
    has_ends = word[0].isalpha() and ord(word[0]) < 0x2E80
    return rf"(?<!\w){re.escape(word)}(?!\w)" if has_ends else re.escape(word)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


def _near(first: str, second: str) -> re.Pattern[str]:
    """Either may come first: verbs end the sentence in some languages."""
    one, other, between = _any_of(_WORDS[first]), _any_of(_WORDS[second]), r"[^\n.。]{0,80}?"
    return _pattern(f"{one}{between}{other}|{other}{between}{one}")


_ASSIGNMENTS = {
    name: _pattern(
        rf"{_any_of(words)}[\"'*`_\s]{{0,4}}{_any_of(_WORDS['links'])}[*_\s]{{0,4}}"
        + (
            rf"({_CHAIN}|[^\n]+)"
            if name in _TEXTS
            else rf"({_CHAIN}|\[[^\]\n]*\]|[^\s\"'`<>,;.。、{{}}]+(?:\.\d+)?)"
        )
    )
    for name, words in _FIELDS.items()
}
_ELEMENT = re.compile(r"<(\w+)>([^<]*)</\1>")
_SAY = _pattern(rf"{_any_of(_WORDS['say'])}[^\"“„«「`'\n]{{0,80}}?({_CHAIN}|{_BARE_ADDRESS})([^\n]{{0,80}})")
# In Japanese and Turkish the verb comes last.
_SAY_AFTER = _pattern(rf"({_CHAIN}|{_BARE_ADDRESS})([^\"“„«「`'\n]{{0,30}}?{_any_of(_WORDS['say'])})")
_CALL = _pattern(
    rf"{_any_of(_WORDS['call'])}[^\n]{{0,40}}?[\"'`]?((?-i:[a-z]+(?:_[a-z]+)+|[a-z]+[A-Z]\w+))([^\n]{{0,60}})"
)
_ALSO, _WITHOUT_TOOL = (_pattern(_any_of(_WORDS[kind])) for kind in ("also", "without_tool"))
_SHOW_PROMPT, _SHOW_TAG = _near("reveal", "prompt"), _near("reveal", "tag")
_BACKWARDS, _DECODED, _CLICKABLE = (
    _pattern(_any_of(_WORDS[kind])) for kind in ("backwards", "decoded", "clickable")
)
_TIMES = _pattern(rf"(\d+) {_any_of(_WORDS['times'])}")
_DEFUSED_DOT = _pattern(r"\s*[\[({]\s*(?:\.|dot)\s*[\])}]\s*|\s+dot\s+")


@dataclass
class Orders:
    """What the model is told to do.

    `values` by field, whatever their type; `said`: pairs of a field and a text to add to it; `tools` to call,
    together with the asked one if `also`.
    """

    values: dict[str, Any] = field(default_factory=dict)
    said: list[tuple[str, str]] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)
    also: bool = False
    show_prompt: bool = False
    show_tag: bool = False
    without_tool: bool = False


def find_orders(text: str) -> Orders:
    """Every order that can be read in the text; of two for one field the later, or better hidden, counts."""
    orders = Orders()
    for reading in readings(text):
        orders.values |= dict(_assigned(reading)) | dict(_in_elements(reading)) | dict(_in_objects(reading))
        orders.said += [said for said in _said(reading) if said not in orders.said]
        calls = list(_CALL.finditer(reading))
        orders.tools += [call[1] for call in calls if call[1] not in orders.tools]
        orders.also |= any(_ALSO.search(reading, max(0, call.start() - 40), call.end()) for call in calls)
        orders.show_prompt |= bool(_SHOW_PROMPT.search(reading))
        orders.show_tag |= bool(_SHOW_TAG.search(reading))
        orders.without_tool |= bool(_WITHOUT_TOOL.search(reading))
    return orders


def _assigned(text: str) -> Iterator[tuple[str, Any]]:
    for name, pattern in _ASSIGNMENTS.items():
        for found in pattern.finditer(text):
            yield name, _value(name, _spoken(found[1]))


def _in_elements(text: str) -> Iterator[tuple[str, Any]]:
    for found in _ELEMENT.finditer(text):
        if found[1] in _FIELDS:
            yield found[1], _value(found[1], found[2])


def _in_objects(text: str) -> Iterator[tuple[str, Any]]:
    decoder, start = json.JSONDecoder(), text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            yield from _members(value)
        start = text.find("{", end)


def _members(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The members, with those of an object in an object, such as the input of a call that is acted out."""
    for name, value in document.items():
        if isinstance(value, dict) and name not in _FIELDS:
            yield from _members(value)
        else:
            yield name, value


def _value(name: str, text: str) -> Any:
    if name in _TEXTS:
        return text
    if name == "tags":
        return [tag.strip(" \"'") for tag in text.strip("[]").split(",")]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _said(text: str) -> Iterator[tuple[str, str]]:
    for found in (*_SAY.finditer(text), *_SAY_AFTER.finditer(text)):
        said, order = _spoken(found[1]), found[0]
        if _BACKWARDS.search(order):
            said = said[::-1]
        if _DECODED.search(order):
            said = decoded(said) or said
        if _CLICKABLE.search(order):
            said = _DEFUSED_DOT.sub(".", said).replace("hxxp", "http")
        if times := _TIMES.search(order):
            said *= min(int(times[1]), _MOST_TIMES)
        yield _place(order.replace(found[1], "")), said


def _place(order: str) -> str:
    for name in ("summary", "tags"):
        if re.search(_any_of(_FIELDS[name]), order, re.IGNORECASE):
            return name
    return "response"


def _spoken(chain: str) -> str:
    """The words in the quotation marks, joined if there are several; a text without any as it is."""
    parts = re.findall(_QUOTED, chain) if re.fullmatch(_CHAIN, chain) else []
    return "".join(part[1:-1] for part in parts) or chain.strip()
