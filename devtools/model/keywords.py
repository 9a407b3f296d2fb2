"""Find keywords in a text, whatever its case, accents and punctuation."""

import re
import unicodedata
from collections.abc import Iterable, Mapping

type KeywordGroups = Mapping[str, Mapping[str, Iterable[str]]]
"""Keywords by group ("category", "impact", "sentiment") and name ("BILLING", "HIGH", "POSITIVE")."""

_WORD = re.compile(r"[^\W_]+")


class KeywordFinder:
    """Finds the keywords of one language.

    A keyword is one or more words. It matches whole words; a trailing `*` matches any ending.
    """

    def __init__(self, groups: KeywordGroups) -> None:
        self._patterns = {
            group: {
                name: [_search_string(keyword) for keyword in keywords] for name, keywords in names.items()
            }
            for group, names in groups.items()
        }

    def find(self, group: str, name: str, normalized: str) -> list[str]:
        """Return the first words that each keyword matches in a normalized text."""
        matches = []
        for pattern in self._patterns[group].get(name, []):
            start = normalized.find(pattern)
            if start >= 0:
                end = normalized.index(" ", start + len(pattern) - 1)
                matches.append(normalized[start + 1 : end])
        return matches


def normalize(text: str) -> str:
    """Return the words of a text in lower case and without accents, with one space before and after each."""
    decomposed = unicodedata.normalize("NFD", text.casefold())
    without_accents = "".join(character for character in decomposed if not unicodedata.combining(character))
    return f" {' '.join(_WORD.findall(without_accents))} "


def _search_string(keyword: str) -> str:
    normalized = normalize(keyword)
    return normalized[:-1] if keyword.endswith("*") else normalized
