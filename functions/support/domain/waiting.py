"""Tickets in the waiting room: their messages, and the input of their next execution.

Defer Ticket sends `{"input": execution input, "execution": ARN, "error": str, "cause": str, "deferredAt":
time}`. A failure message, with `failedAt` instead of `deferredAt`, replays a failed ticket: its waiting time
starts anew.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self

from support.domain.errors import InvalidTicket
from support.domain.ticket import HIGH_PRIORITY, timestamp

# Errors that one ticket can cause while everything else works.
_DEATHS = (
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Sandbox.Timedout",
    "States.Timeout",
    "States.Runtime",
    "States.DataLimitExceeded",
)
_WAITING = "waiting"
# `waitingFor` of a ticket that an operator or an admin replays.
REPLAY = "Replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingTicket:
    """A ticket in the waiting room; `error` is the reason, an error's name.

    `execution` is the ARN of the execution that deferred the ticket; the next execution takes over its lease.
    `deaths` counts the consecutive executions in which a function crashed or timed out. `is_replay` says that
    an operator or an admin put the ticket there.
    """

    submission: Mapping[str, Any]
    error: str
    since: datetime
    execution: str = ""
    cause: str = ""
    deaths: int = 0
    is_replay: bool = False

    @classmethod
    def from_message(cls, body: str, now: datetime) -> Self:
        """The ticket in a message.

        Raises:
            InvalidTicket: the message has another format.
        """
        try:
            message = json.loads(body)
            submission = dict(message["input"])
            previous = dict(submission.pop(_WAITING, {}))
            is_failure = "failedAt" in message
            deaths = int(previous.get("deaths", 0)) + 1
            ticket = cls(
                submission=submission,
                error=str(message["error"]),
                since=_utc(previous.get("since") or message.get("deferredAt") or timestamp(now)),
                execution=str(message["execution"]),
                cause=str(message.get("cause", "")),
                deaths=deaths if message["error"] in _DEATHS else 0,
                is_replay=is_failure or message["error"] == REPLAY,
            )
            return replace(ticket, since=now, deaths=0) if is_failure else ticket
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InvalidTicket(
                "The message is neither a deferral nor a failure: see support.domain.waiting."
            ) from error

    def to_message(self, now: datetime) -> str:
        """The body of the message, in ASCII: SQS rejects some characters."""
        return json.dumps(
            {
                "input": self.to_input(),
                "execution": self.execution,
                "error": self.error,
                "cause": self.cause,
                "deferredAt": timestamp(now),
            }
        )

    def to_input(self) -> dict[str, Any]:
        """The input of the next execution."""
        waiting = {"since": timestamp(self.since), "execution": self.execution, "deaths": self.deaths}
        return {**self.submission, _WAITING: waiting}

    def deferred_again(self, *, execution: str, error: str, cause: str) -> Self:
        """The ticket after another execution that ended without deferring or failing it."""
        return replace(self, execution=execution, error=error, cause=cause)


def has_priority(execution_input: Mapping[str, Any]) -> bool:
    """Whether the ticket waits in the priority queue; the state machine applies the same rule."""
    request = execution_input.get("request")
    return isinstance(request, Mapping) and request.get("priority") == HIGH_PRIORITY


def waiting_since(execution_input: Mapping[str, Any], now: datetime) -> str:
    """The time since which a ticket that is being deferred has been waiting."""
    return str(_waiting(execution_input).get("since") or timestamp(now))


def predecessor(execution_input: Mapping[str, Any]) -> str | None:
    """The ARN of the execution that put this execution's ticket into the waiting room."""
    return _waiting(execution_input).get("execution") or None


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _waiting(execution_input: Mapping[str, Any]) -> Mapping[str, Any]:
    waiting = execution_input.get(_WAITING)
    return waiting if isinstance(waiting, Mapping) else {}
