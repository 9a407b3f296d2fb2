"""Candidates for a second signal of doubt, computed outside the model. The pipeline uses none of them.

The report shows for each whether it would find more wrong answers than the model's own confidence does.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from evals.example import Example
from evals.gold import LONG, SHORT
from evals.language import Language

_DEMANDS = re.compile(
    r"\b(?:urgent\w*|asap|immediate\w*|right now|emergency|critical|urgen(?:te|tes|cia|za)|inmediat\w+|"
    r"imm[ée]diat\w+|au plus vite|dringend\w*|sofort\w*|eilt|umgehend|imediat\w+|subito|immediat\w+)\b"
)
_CONNECTORS = re.compile(
    r"\b(?:also|another (?:thing|problem|issue|question)|besides|additionally|secondly|adem[áa]s|"
    r"por otro lado|"
    r"tambi[ée]n|de plus|par ailleurs|aussi|en outre|au[ßs]+erdem|zudem|zus[äa]tzlich|noch etwas|"
    r"al[ée]m disso|tamb[ée]m|outra coisa|inoltre|anche|un'altra cosa)\b"
)
_CALM = ("LOW", "MEDIUM")

type Signal = Callable[[Example, Mapping[str, Any], Language], bool]


def _urgency_words_disagree(example: Example, answer: Mapping[str, Any], _: Language) -> bool:
    demands = bool(_DEMANDS.search(example.text.casefold()))
    return demands == (answer.get("urgency") in _CALM)


def _language_in_doubt(_: Example, answer: Mapping[str, Any], detected: Language) -> bool:
    answered = str(answer.get("language", detected.code)).partition("-")[0]
    return not detected.is_certain or answered != detected.code


SIGNALS: Mapping[str, Signal] = {
    f"short (under {SHORT} characters)": lambda example, *_: len(example.content) < SHORT,
    f"long (over {LONG} characters)": lambda example, *_: len(example.content) > LONG,
    "several problems (connecting words)": lambda example, *_: bool(
        _CONNECTORS.search(example.text.casefold())
    ),
    "urgency words disagree with the urgency": _urgency_words_disagree,
    "language in doubt": _language_in_doubt,
}


def raised(example: Example, answer: Mapping[str, Any], detected: Language) -> tuple[str, ...]:
    """The names of the signals that doubt an answer."""
    return tuple(name for name, doubts in SIGNALS.items() if doubts(example, answer, detected))
