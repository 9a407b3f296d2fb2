"""Detects the language of a text."""

from collections.abc import Iterable
from dataclasses import dataclass

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from support.domain.metrics import LANGUAGES

# Below it, a short text's language is a guess.
_CERTAIN = 0.7


@dataclass(frozen=True, slots=True)
class Language:
    """A primary language subtag, and whether the detector is sure of it."""

    code: str
    is_certain: bool


class LanguageDetector:
    """Chooses between the pipeline's languages and those of the measured set."""

    def __init__(self, languages: Iterable[str]) -> None:
        self._identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        known = set(self._identifier.nb_classes)
        self._identifier.set_languages(sorted((LANGUAGES | {*languages}) & known))

    def detect(self, text: str) -> Language:
        """The most likely language of a text."""
        code, probability = self._identifier.classify(text)
        return Language(str(code), bool(probability >= _CERTAIN))
