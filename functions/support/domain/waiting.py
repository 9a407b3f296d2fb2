"""Tickets in the waiting room: what their messages say, and what the next execution is told.

A message is `{"input": execution input, "execution": ARN, "error": str, "cause": str, "deferredAt": time}`,
as Defer Ticket sends it. A failure message, with `failedAt` in the place of `deferredAt`, starts a failed
ticket again: its wait begins now.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self

from support.domain.errors import InvalidTicket
from support.domain.ticket import HIGH_PRIORITY, timestamp

# What a ticket may cause by itself, while nothing else is wrong.
_DEATHS = (
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Sandbox.Timedout",
    "States.Timeout",
    "States.Runtime",
    "States.DataLimitExceeded",
)
_WAITING = "waiting"
# What a ticket is said to wait for when an operator or an admin has it started again.
REPLAY = "Replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingTicket:
    """A ticket in the waiting room, since when, and why.

    `execution` is the ARN of the execution that put it there, whose claim on the ticket the next one takes
    over. `deaths` counts the rounds in a row in which a function died or took too long.
    """

    submission: Mapping[str, Any]
    error: str
    since: datetime
    execution: str = ""
    cause: str = ""
    deaths: int = 0

    @classmethod
    def from_message(cls, body: str, now: datetime) -> Self:
        """The ticket of a message in the waiting room.

        Raises:
            InvalidTicket: the message has another form.
        """
        try:
            message = json.loads(body)
            submission = dict(message["input"])
            waited = dict(submission.pop(_WAITING, {}))
            is_replay = "failedAt" in message
            deaths = int(waited.get("deaths", 0)) + 1
            ticket = cls(
                submission=submission,
                error=str(message["error"]),
                since=_moment(waited.get("since") or message.get("deferredAt") or timestamp(now)),
                execution=str(message["execution"]),
                cause=str(message.get("cause", "")),
                deaths=deaths if message["error"] in _DEATHS else 0,
            )
            return replace(ticket, since=now, deaths=0) if is_replay else ticket
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InvalidTicket(
                "The message is neither a deferred nor a failed ticket's: see support.domain.waiting."
            ) from error

    def to_message(self, now: datetime) -> str:
        """The message's body. ASCII: SQS refuses some characters."""
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
        """The same ticket after one more round that did not end in the state machine."""
        return replace(self, execution=execution, error=error, cause=cause)


def has_priority(execution_input: Mapping[str, Any]) -> bool:
    """Whether a ticket goes before those that wait without priority; the state machine decides the same."""
    request = execution_input.get("request")
    return isinstance(request, Mapping) and request.get("priority") == HIGH_PRIORITY


def waiting_since(execution_input: Mapping[str, Any], now: datetime) -> str:
    """Since when the ticket of an execution that is about to be deferred has been waiting."""
    return str(_of(execution_input).get("since") or timestamp(now))


def predecessor(execution_input: Mapping[str, Any]) -> str | None:
    """The ARN of the execution that put the ticket of this one into the waiting room."""
    return _of(execution_input).get("execution") or None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _of(execution_input: Mapping[str, Any]) -> Mapping[str, Any]:
    waiting = execution_input.get(_WAITING)
    return waiting if isinstance(waiting, Mapping) else {}
