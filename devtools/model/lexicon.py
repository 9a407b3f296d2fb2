"""Finding the lexicon's terms in a text, whatever its case, accents and punctuation."""

import re
import unicodedata
from collections.abc import Iterable, Mapping

type Terms = Mapping[str, Mapping[str, Iterable[str]]]
"""Terms by group ("category", "effect", "sentiment") and name ("BILLING", "HIGH", "POSITIVE")."""

_WORD = re.compile(r"[^\W_]+")


class Lexicon:
    """The terms of one language.

    A term is one word or several; it matches whole words, and a trailing `*` stands for any ending.
    """

    def __init__(self, terms: Terms) -> None:
        self._needles = {
            group: {name: [_needle(term) for term in listed] for name, listed in names.items()}
            for group, names in terms.items()
        }

    def find(self, group: str, name: str, folded: str) -> list[str]:
        """Return, for each term that occurs in the folded text, the words it matches first."""
        found = []
        for needle in self._needles[group].get(name, []):
            start = folded.find(needle)
            if start >= 0:
                end = folded.index(" ", start + len(needle) - 1)
                found.append(folded[start + 1 : end])
        return found


def fold(text: str) -> str:
    """Return the words of the text in lower case without accents, with one space before and after each."""
    decomposed = unicodedata.normalize("NFD", text.casefold())
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    return f" {' '.join(_WORD.findall(bare))} "


def _needle(term: str) -> str:
    folded = fold(term)
    return folded[:-1] if term.endswith("*") else folded
