"""Triage by rules: terms from lexicon.json decide, sentences from replies.json answer.

Nothing in the text is understood as an instruction, and no word that merely demands an urgency is a term.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.model.language import Language, LanguageFinder
from devtools.model.lexicon import Lexicon, fold

_HERE = Path(__file__).parent
_TAXONOMY = _HERE.parents[1] / "functions" / "support" / "domain" / "taxonomy.json"

_NO_CATEGORY = "OTHER"
_URGENCIES = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
_SENTIMENTS = ("NEGATIVE", "POSITIVE")

_NO_MATCH_CONFIDENCE = 0.2
_MOST_CONFIDENCE = 0.95
_UNSURE_OF_LANGUAGE = 0.6

_LONGEST_EXCERPT = 80
_LONGEST_TAG = 40
_MOST_TAGS = 4

type Matches = Mapping[str, list[str]]
"""The distinct matched words by the name of what they speak for."""


@dataclass(frozen=True)
class Analysis:
    """The fields of the pipeline's analysis, in the order of its schema."""

    urgency: str
    category: str
    sentiment: str
    language: str
    summary: str
    response: str
    tags: list[str]
    confidence: float


class Triage:
    """Analyses tickets in the languages of the lexicon, into the categories of the taxonomy."""

    def __init__(self) -> None:
        lexicon = _read(_HERE / "lexicon.json")
        self._categories = list(_read(_TAXONOMY)["categories"])
        self._usual_urgency: Mapping[str, str] = lexicon["urgency"]
        self._lexicons = {code: Lexicon(terms) for code, terms in lexicon["languages"].items()}
        self._language_finder = LanguageFinder(list(self._lexicons))
        self._texts = _read(_HERE / "replies.json")

    def analyse(self, subject: str, content: str) -> Analysis:
        """Return the analysis of one ticket; either text may be empty, or hold anything at all."""
        text = f"{subject}\n{content}"
        folded = fold(text)
        language = self._language_finder.find(text)
        lexicons = self._lexicons_for(language)
        topics = _match(lexicons, "category", self._categories, folded)
        effects = _match(lexicons, "effect", _URGENCIES, folded)
        feelings = _match(lexicons, "sentiment", _SENTIMENTS, folded)

        category = self._category(topics)
        urgency = self._urgency(category, effects)
        return Analysis(
            urgency=urgency,
            category=category,
            sentiment=_sentiment(feelings, effects),
            language=language.code,
            summary=self._summary(category, urgency, subject.strip() or content),
            response=self._response(category, urgency, language.code),
            tags=_tags(category, topics),
            confidence=_confidence(topics, language),
        )

    def _lexicons_for(self, language: Language) -> list[Lexicon]:
        """Return the language's own and, as English words are in all support mail, the English one.

        A language that is only guessed excludes none.
        """
        codes = dict.fromkeys((language.code, "en")) if language.sure else self._lexicons
        return [self._lexicons[code] for code in codes]

    def _category(self, topics: Matches) -> str:
        """Return the category with the most matches; of equal ones the usually more urgent."""
        if not any(topics.values()):
            return _NO_CATEGORY
        return max(topics, key=lambda name: (len(topics[name]), self._rank(name)))

    def _urgency(self, category: str, effects: Matches) -> str:
        """Return what the described effect calls for, or what is usual for the category if that is more.

        "No rush" relieves only a usually medium case: it cannot play down an outage or a breach.
        """
        usual = self._rank(category)
        described = [_URGENCIES.index(level) for level, words in effects.items() if words]
        if described == [_URGENCIES.index("LOW")] and usual == _URGENCIES.index("MEDIUM"):
            return "LOW"
        return _URGENCIES[max([usual, *described])]

    def _rank(self, category: str) -> int:
        return _URGENCIES.index(self._usual_urgency.get(category, "LOW"))

    def _summary(self, category: str, urgency: str, text: str) -> str:
        matter = self._texts["summary"].get(category, self._texts["summary"][_NO_CATEGORY])
        return f"The customer writes about {matter} (urgency {urgency.lower()}): {_excerpt(text)}."

    def _response(self, category: str, urgency: str, language: str) -> str:
        texts = self._texts["languages"][language]
        body = texts["category"].get(category, texts["category"][_NO_CATEGORY])
        return f"{texts['opening']} {body} {texts['urgency'][urgency]} {texts['closing']}"


def _match(lexicons: list[Lexicon], group: str, names: Iterable[str], folded: str) -> Matches:
    def distinct(name: str) -> list[str]:
        return list(
            dict.fromkeys(words for lexicon in lexicons for words in lexicon.find(group, name, folded))
        )

    return {name: distinct(name) for name in names}


def _sentiment(feelings: Matches, effects: Matches) -> str:
    """Return the feeling that prevails; a serious effect is a negative one, however politely reported."""
    negative = len(feelings["NEGATIVE"]) + len(effects["HIGH"]) + len(effects["CRITICAL"])
    positive = len(feelings["POSITIVE"])
    if negative == positive:
        return "NEUTRAL"
    return "NEGATIVE" if negative > positive else "POSITIVE"


def _confidence(topics: Matches, language: Language) -> float:
    """Return 0..1: it rises with the matches, and falls with those of the next category.

    One match stays below 0.5, a tie far below; nothing matched gives 0.2, and a guessed language costs more.
    """
    *_, second, first = sorted(len(words) for words in topics.values())
    confidence = _NO_MATCH_CONFIDENCE
    if first:
        strength = 1 - 0.5**first
        lead = (first - second) / first
        confidence = _MOST_CONFIDENCE * strength * (0.4 + 0.6 * lead)
    return round(confidence if language.sure else confidence * _UNSURE_OF_LANGUAGE, 2)


def _tags(category: str, topics: Matches) -> list[str]:
    found = [words[:_LONGEST_TAG] for words in topics[category]] or ["unclassified"]
    return [category.lower().replace("_", " "), *found][:_MOST_TAGS]


def _excerpt(text: str) -> str:
    """Return the beginning of the text on one line, quoted and without invisible characters."""
    visible = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(visible.split()).replace('"', "'")
    if not line:
        return "no readable text"
    return f'"{line}"' if len(line) <= _LONGEST_EXCERPT else f'"{line[:_LONGEST_EXCERPT].rstrip()}…"'


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
