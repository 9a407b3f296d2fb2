"""How the replay of a ticket ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ops.failed import FailedTicket


class Outcome(StrEnum):
    """How a replay ended, in the words of the report."""

    PROCESSED = "processed"
    PROCESSED_BEFORE = "already processed"
    FAILED_AGAIN = "failed again"
    WAITING = "still waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one ticket's replay ended; `reason` is the error of one that failed, or what one waits for."""

    failed: FailedTicket
    outcome: Outcome
    reason: str = ""
