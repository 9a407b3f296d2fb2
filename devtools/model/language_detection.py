"""Detect which of the supported languages a text is in."""

import unicodedata
from dataclasses import dataclass

from py3langid.langid import MODEL_FILE, LanguageIdentifier

_MIN_LETTERS = 6
_FALLBACK = "en"
_MIN_PROBABILITY = 0.5
_CERTAIN_PROBABILITY = 0.7


@dataclass(frozen=True)
class Language:
    """An ISO 639-1 code. If it is not certain, the code is a guess, or the fallback English."""

    code: str
    is_certain: bool


class LanguageDetector:
    """Distinguishes the given languages; a text in another language is taken for the most similar one."""

    def __init__(self, codes: list[str]) -> None:
        self._identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        self._identifier.set_languages(codes)

    def detect(self, text: str) -> Language:
        """Return the language, or the fallback for a text that is too short or not in Latin script."""
        letters = [character for character in text if character.isalpha()]
        latin = sum(unicodedata.name(letter, "").startswith("LATIN") for letter in letters)
        if latin < _MIN_LETTERS or latin < len(letters) / 2:
            return Language(_FALLBACK, is_certain=False)
        code, probability = self._identifier.classify(text)
        return Language(
            code if probability >= _MIN_PROBABILITY else _FALLBACK,
            is_certain=probability >= _CERTAIN_PROBABILITY,
        )
