"""Triage by rules: the keywords in keywords.json determine the analysis, replies.json has the texts.

Nothing in a ticket is taken for an instruction, and words that only demand an urgency are not keywords.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.model.keywords import KeywordFinder, normalize
from devtools.model.language_detection import Language, LanguageDetector

_HERE = Path(__file__).parent
_TAXONOMY = _HERE.parents[1] / "functions" / "support" / "domain" / "taxonomy.json"

_NO_CATEGORY = "OTHER"
_URGENCIES = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
_SENTIMENTS = ("NEGATIVE", "POSITIVE")

_NO_MATCH_CONFIDENCE = 0.2
_MAX_CONFIDENCE = 0.95
_UNCERTAIN_LANGUAGE_FACTOR = 0.6

_MAX_EXCERPT_LENGTH = 80
_MAX_TAG_LENGTH = 40
_MAX_TAGS = 4

type Matches = Mapping[str, list[str]]
"""The distinct words that the keywords matched, by the name that the keywords stand for."""


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
    """Analyses tickets in the languages of keywords.json, with the categories of the taxonomy."""

    def __init__(self) -> None:
        keywords = _read(_HERE / "keywords.json")
        self._categories = list(_read(_TAXONOMY)["categories"])
        self._default_urgency: Mapping[str, str] = keywords["urgency"]
        self._finders = {code: KeywordFinder(groups) for code, groups in keywords["languages"].items()}
        self._language_detector = LanguageDetector(list(self._finders))
        self._texts = _read(_HERE / "replies.json")

    def analyse(self, subject: str, content: str) -> Analysis:
        """Return the analysis of a ticket. Both texts may be empty or contain anything."""
        text = f"{subject}\n{content}"
        normalized = normalize(text)
        language = self._language_detector.detect(text)
        finders = self._finders_for(language)
        categories = _matches(finders, "category", self._categories, normalized)
        impacts = _matches(finders, "impact", _URGENCIES, normalized)
        sentiments = _matches(finders, "sentiment", _SENTIMENTS, normalized)

        category = self._category(categories)
        urgency = self._urgency(category, impacts)
        return Analysis(
            urgency=urgency,
            category=category,
            sentiment=_sentiment(sentiments, impacts),
            language=language.code,
            summary=self._summary(category, urgency, subject.strip() or content),
            response=self._response(category, urgency, language.code),
            tags=_tags(category, categories),
            confidence=_confidence(categories, language),
        )

    def _finders_for(self, language: Language) -> list[KeywordFinder]:
        """Return those of the language and of English, whose words occur in tickets in all languages.

        If the language is not certain, return those of all languages.
        """
        codes = dict.fromkeys((language.code, "en")) if language.is_certain else self._finders
        return [self._finders[code] for code in codes]

    def _category(self, categories: Matches) -> str:
        """Return the category with the most matches; in a tie, the one with the higher default urgency."""
        if not any(categories.values()):
            return _NO_CATEGORY
        return max(categories, key=lambda name: (len(categories[name]), self._rank(name)))

    def _urgency(self, category: str, impacts: Matches) -> str:
        """Return the urgency of the described impact or the default of the category, whichever is higher.

        "No rush" lowers the urgency only if the default is MEDIUM, so not that of an outage or a breach.
        """
        default = self._rank(category)
        described = [_URGENCIES.index(level) for level, words in impacts.items() if words]
        if described == [_URGENCIES.index("LOW")] and default == _URGENCIES.index("MEDIUM"):
            return "LOW"
        return _URGENCIES[max([default, *described])]

    def _rank(self, category: str) -> int:
        return _URGENCIES.index(self._default_urgency.get(category, "LOW"))

    def _summary(self, category: str, urgency: str, text: str) -> str:
        topic = self._texts["summary"].get(category, self._texts["summary"][_NO_CATEGORY])
        return f"The customer writes about {topic} (urgency {urgency.lower()}): {_excerpt(text)}."

    def _response(self, category: str, urgency: str, language: str) -> str:
        texts = self._texts["languages"][language]
        body = texts["category"].get(category, texts["category"][_NO_CATEGORY])
        return f"{texts['opening']} {body} {texts['urgency'][urgency]} {texts['closing']}"


def _matches(finders: list[KeywordFinder], group: str, names: Iterable[str], normalized: str) -> Matches:
    def distinct(name: str) -> list[str]:
        return list(
            dict.fromkeys(words for finder in finders for words in finder.find(group, name, normalized))
        )

    return {name: distinct(name) for name in names}


def _sentiment(sentiments: Matches, impacts: Matches) -> str:
    """Return the predominant sentiment. A serious impact counts as negative, however polite the ticket."""
    negative = len(sentiments["NEGATIVE"]) + len(impacts["HIGH"]) + len(impacts["CRITICAL"])
    positive = len(sentiments["POSITIVE"])
    if negative == positive:
        return "NEUTRAL"
    return "NEGATIVE" if negative > positive else "POSITIVE"


def _confidence(categories: Matches, language: Language) -> float:
    """Return a confidence from 0 to 1: it rises with the matches, and falls with those of the next category.

    It is below 0.5 for a single match, far below for a tie, 0.2 without a match, and lower for an uncertain
    language.
    """
    *_, second, first = sorted(len(words) for words in categories.values())
    confidence = _NO_MATCH_CONFIDENCE
    if first:
        strength = 1 - 0.5**first
        lead = (first - second) / first
        confidence = _MAX_CONFIDENCE * strength * (0.4 + 0.6 * lead)
    return round(confidence if language.is_certain else confidence * _UNCERTAIN_LANGUAGE_FACTOR, 2)


def _tags(category: str, categories: Matches) -> list[str]:
    words = [match[:_MAX_TAG_LENGTH] for match in categories[category]] or ["unclassified"]
    return [category.lower().replace("_", " "), *words][:_MAX_TAGS]


def _excerpt(text: str) -> str:
    """Return the beginning of the text in one line, quoted and without invisible characters."""
    visible = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(visible.split()).replace('"', "'")
    if not line:
        return "no readable text"
    return f'"{line}"' if len(line) <= _MAX_EXCERPT_LENGTH else f'"{line[:_MAX_EXCERPT_LENGTH].rstrip()}…"'


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
