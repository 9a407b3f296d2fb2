"""The results of the checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

DEPLOY_ADVICE = "Deploy again (make deploy)."


class CheckStatus(StrEnum):
    """The status of a check, as the table shows it."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class CheckError(Exception):
    """A check cannot run; the message says why."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found, and what to do about it: nothing when the status is ok."""

    status: CheckStatus
    text: str
    advice: str = ""


def ok(text: str) -> CheckResult:
    """The result of a check that found no problem."""
    return CheckResult(CheckStatus.OK, text)


def warning(text: str, advice: str) -> CheckResult:
    """The result of a check that found something to know, although the pipeline works."""
    return CheckResult(CheckStatus.WARNING, text, advice)


def failed(text: str, advice: str) -> CheckResult:
    """The result of a check that found a problem."""
    return CheckResult(CheckStatus.FAILED, text, advice)


def ok_unless(problems: Sequence[str], text: str, advice: str) -> CheckResult:
    """Failed with the problems and the advice; ok with the text if there are no problems."""
    return failed("; ".join(problems) + ".", advice) if problems else ok(text)
