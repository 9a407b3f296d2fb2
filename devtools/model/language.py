"""Which of the supported languages a text is in, and whether that is sure."""

import unicodedata
from dataclasses import dataclass

from py3langid.langid import MODEL_FILE, LanguageIdentifier

_FEWEST_LETTERS = 6
_FALLBACK = "en"
_GUESS = 0.5
_SURE = 0.7


@dataclass(frozen=True)
class Language:
    """An ISO 639-1 code; one that is not `sure` is a guess, or the fallback English."""

    code: str
    sure: bool


class LanguageFinder:
    """Tells the given languages apart; a text in any other language looks like the nearest of them."""

    def __init__(self, codes: list[str]) -> None:
        self._identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        self._identifier.set_languages(codes)

    def find(self, text: str) -> Language:
        """Return the language, or the fallback for a text that is too short or not in Latin script."""
        letters = [character for character in text if character.isalpha()]
        latin = sum(unicodedata.name(letter, "").startswith("LATIN") for letter in letters)
        if latin < _FEWEST_LETTERS or latin < len(letters) / 2:
            return Language(_FALLBACK, sure=False)
        code, probability = self._identifier.classify(text)
        return Language(code if probability >= _GUESS else _FALLBACK, sure=probability >= _SURE)
