"""The answers that were already paid for: one file each, so that a stopped run continues where it was."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evals.example import Example

ANSWERED = "answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one ticket: a valid answer, or the name of the error that every attempt ended with.

    `document` is the answer as the validator accepted it. Tokens are those of all calls; the latency is the
    last call's, in milliseconds.
    """

    outcome: str = ANSWERED
    document: dict[str, Any] | None = None
    stopped_early: bool = False
    calls: int = 1
    input_tokens: int = 0
    output_tokens: int = 0
    latency_ms: int = 0


class AnswerCache:
    """Answers by model, version of the prompt, and text of the ticket."""

    def __init__(self, folder: Path, model_key: str, prompt_version: str) -> None:
        self._folder = folder
        self._prefix = (model_key, prompt_version)

    def get(self, example: Example) -> Answer | None:
        """The answer to a ticket, if there is one."""
        try:
            return Answer(**json.loads(self._path(example).read_text("utf-8")))
        except FileNotFoundError:
            return None

    def put(self, example: Example, answer: Answer) -> None:
        """Keep an answer; a reader never sees half of it."""
        path = self._path(example)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(answer)), "utf-8")
        new.replace(path)

    def _path(self, example: Example) -> Path:
        key = json.dumps([*self._prefix, example.subject, example.content])
        digest = hashlib.sha256(key.encode()).hexdigest()
        return self._folder / digest[:2] / f"{digest}.json"
