"""Find instructions to the model in a ticket, by the phrases in injected_instructions.json.

An instruction sets a field (`urgency: X`, `set the urgency to X`, a JSON object, an XML element), inserts a
text (`include "X" in the summary`), reveals the prompt or the delimiter, calls a tool, or asks for an answer
without one.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devtools.model.deobfuscation import decode_base64, deobfuscate

_PHRASES: Mapping[str, Any] = json.loads(
    Path(__file__).with_name("injected_instructions.json").read_text(encoding="utf-8")
)
_FIELDS: Mapping[str, list[str]] = _PHRASES["fields"]
_TEXT_FIELDS = ("summary", "response")
_MAX_REPETITIONS = 10_000

_QUOTED = r"(?:\"[^\"]+\"|“[^”]+”|„[^“”]+[“”]|«[^»]+»|「[^」]+」|`[^`]+`|(?<!\w)'[^']+'(?!\w))"
_CONCATENATION = rf"{_QUOTED}(?:\s*\+\s*{_QUOTED})*"
_ADDRESS = r"(?:https?://[^\s\"'<>]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\+\d[\d ().-]{5,}\d)"


def _any_of(phrases: Iterable[str]) -> str:
    """A pattern for any of the phrases, as whole words."""
    return "(?:" + "|".join(sorted(map(_whole_words, phrases), key=len, reverse=True)) + ")"


def _whole_words(phrase: str) -> str:
    # Words have no boundaries in Chinese and Japanese, and Korean particles follow them directly.
    has_boundaries = phrase[0].isalpha() and ord(phrase[0]) < 0x2E80
    return rf"(?<!\w){re.escape(phrase)}(?!\w)" if has_boundaries else re.escape(phrase)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


def _near(first: str, second: str) -> re.Pattern[str]:
    """A pattern for both in one sentence, in either order: in some languages the verb comes last."""
    one, other, between = _any_of(_PHRASES[first]), _any_of(_PHRASES[second]), r"[^\n.。]{0,80}?"
    return _pattern(f"{one}{between}{other}|{other}{between}{one}")


_ASSIGNMENTS = {
    name: _pattern(
        rf"{_any_of(words)}[\"'*`_\s]{{0,4}}{_any_of(_PHRASES['assignment'])}[*_\s]{{0,4}}"
        + (
            rf"({_CONCATENATION}|[^\n]+)"
            if name in _TEXT_FIELDS
            else rf"({_CONCATENATION}|\[[^\]\n]*\]|[^\s\"'`<>,;.。、{{}}]+(?:\.\d+)?)"
        )
    )
    for name, words in _FIELDS.items()
}
_ELEMENT = re.compile(r"<(\w+)>([^<]*)</\1>")
_INSERT = _pattern(
    rf"{_any_of(_PHRASES['insert'])}[^\"“„«「`'\n]{{0,80}}?({_CONCATENATION}|{_ADDRESS})([^\n]{{0,80}})"
)
# In Japanese and Turkish the verb comes last.
_INSERT_VERB_LAST = _pattern(
    rf"({_CONCATENATION}|{_ADDRESS})([^\"“„«「`'\n]{{0,30}}?{_any_of(_PHRASES['insert'])})"
)
_CALL = _pattern(
    rf"{_any_of(_PHRASES['call'])}[^\n]{{0,40}}?[\"'`]?((?-i:[a-z]+(?:_[a-z]+)+|[a-z]+[A-Z]\w+))([^\n]{{0,60}})"
)
_ALSO, _WITHOUT_TOOL = (_pattern(_any_of(_PHRASES[kind])) for kind in ("also", "without_tool"))
_REVEAL_PROMPT, _REVEAL_DELIMITER = _near("reveal", "prompt"), _near("reveal", "delimiter")
_REVERSED, _ENCODED, _REAL_LINK = (
    _pattern(_any_of(_PHRASES[kind])) for kind in ("backwards", "base64", "real_link")
)
_REPETITIONS = _pattern(rf"(\d+) {_any_of(_PHRASES['times'])}")
_DEFANGED_DOT = _pattern(r"\s*[\[({]\s*(?:\.|dot)\s*[\])}]\s*|\s+dot\s+")


@dataclass
class Instructions:
    """What the ticket tells the model to do.

    `values` are the values of fields, of any type; `insertions` are pairs of a field and a text to add to it;
    `tools` are the tools to call, in place of the requested tool or, with `keep_own_tool`, in addition to it.
    """

    values: dict[str, Any] = field(default_factory=dict)
    insertions: list[tuple[str, str]] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)
    keep_own_tool: bool = False
    reveal_prompt: bool = False
    reveal_delimiter: bool = False
    answer_without_tool: bool = False


def find_instructions(text: str) -> Instructions:
    """Return all instructions in the text. For each field, the last or most deeply hidden value counts."""
    found = Instructions()
    for plain in deobfuscate(text):
        found.values |= dict(_assignments(plain)) | dict(_elements(plain)) | dict(_json_members(plain))
        found.insertions += [one for one in _insertions(plain) if one not in found.insertions]
        calls = list(_CALL.finditer(plain))
        found.tools += [call[1] for call in calls if call[1] not in found.tools]
        found.keep_own_tool |= any(
            _ALSO.search(plain, max(0, call.start() - 40), call.end()) for call in calls
        )
        found.reveal_prompt |= bool(_REVEAL_PROMPT.search(plain))
        found.reveal_delimiter |= bool(_REVEAL_DELIMITER.search(plain))
        found.answer_without_tool |= bool(_WITHOUT_TOOL.search(plain))
    return found


def _assignments(text: str) -> Iterator[tuple[str, Any]]:
    for name, pattern in _ASSIGNMENTS.items():
        for match in pattern.finditer(text):
            yield name, _value(name, _unquoted(match[1]))


def _elements(text: str) -> Iterator[tuple[str, Any]]:
    for match in _ELEMENT.finditer(text):
        if match[1] in _FIELDS:
            yield match[1], _value(match[1], match[2])


def _json_members(text: str) -> Iterator[tuple[str, Any]]:
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
    """The members of an object and of nested objects, such as the input of an imitated tool call."""
    for name, value in document.items():
        if isinstance(value, dict) and name not in _FIELDS:
            yield from _members(value)
        else:
            yield name, value


def _value(name: str, text: str) -> Any:
    if name in _TEXT_FIELDS:
        return text
    if name == "tags":
        return [tag.strip(" \"'") for tag in text.strip("[]").split(",")]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _insertions(text: str) -> Iterator[tuple[str, str]]:
    for match in (*_INSERT.finditer(text), *_INSERT_VERB_LAST.finditer(text)):
        insertion, instruction = _unquoted(match[1]), match[0]
        if _REVERSED.search(instruction):
            insertion = insertion[::-1]
        if _ENCODED.search(instruction):
            insertion = decode_base64(insertion) or insertion
        if _REAL_LINK.search(instruction):
            insertion = _DEFANGED_DOT.sub(".", insertion).replace("hxxp", "http")
        if repetitions := _REPETITIONS.search(instruction):
            insertion *= min(int(repetitions[1]), _MAX_REPETITIONS)
        yield _target_field(instruction.replace(match[1], "")), insertion


def _target_field(instruction: str) -> str:
    for name in ("summary", "tags"):
        if re.search(_any_of(_FIELDS[name]), instruction, re.IGNORECASE):
            return name
    return "response"


def _unquoted(text: str) -> str:
    """The concatenated contents of the quotation marks, or the text itself if it has none."""
    parts = re.findall(_QUOTED, text) if re.fullmatch(_CONCATENATION, text) else []
    return "".join(part[1:-1] for part in parts) or text.strip()
