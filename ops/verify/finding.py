"""What a check found: the rows of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """How a check ended, in the words of the table."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class CheckError(Exception):
    """A check could not be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, what it means, and what to do about it: nothing when it is ok."""

    result: Result
    text: str
    advice: str = ""


def ok(text: str) -> Finding:
    """It is as it should be."""
    return Finding(Result.OK, text)


def warning(text: str, advice: str) -> Finding:
    """Somebody should know it; the pipeline works."""
    return Finding(Result.WARNING, text, advice)


def failed(text: str, advice: str) -> Finding:
    """It is not as it should be."""
    return Finding(Result.FAILED, text, advice)


def judged(problems: Sequence[str], text: str, advice: str) -> Finding:
    """The problems with the advice, or the text when there are none."""
    return failed("; ".join(problems) + ".", advice) if problems else ok(text)
