"""One execution as its page shows it: what happened in each state, its events, and a timeline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from console.executions import end_status, open_status
from ops.execution_states import Attempt, EnteredState, ExecutionStates
from ops.formatting import count


@dataclass(frozen=True, slots=True)
class StateView:
    """What happened in a state: `result` is succeeded, caught, failed, running or unknown."""

    name: str
    kind: str
    result: str
    duration: timedelta | None
    attempts: Sequence[Attempt]
    input: str | None
    output: str | None
    error: str
    cause: str

    @property
    def summary(self) -> str:
        """The result with the attempts, in words: `succeeded, 2 retries`."""
        retries = len(self.attempts) - 1
        return (
            f"{self.result}, {count(retries, 'retry')}".replace("retrys", "retries")
            if retries > 0
            else self.result
        )


def status_of(execution: ExecutionStates, now: datetime) -> str:
    """The status of an execution, in the words of the list."""
    if not execution.end_event:
        return open_status(execution.begin, now)
    last = execution.outcome
    return end_status(execution.end_event, deferred=last == "deferred", duplicate=last == "duplicate ignored")


def state_views(execution: ExecutionStates, status: str) -> list[StateView]:
    """The states in the order in which they were entered; a state can be entered again."""
    following = [*execution.states[1:], None]
    return [
        _view(state, execution, status, is_last=after is None)
        for state, after in zip(execution.states, following, strict=True)
    ]


def _view(state: EnteredState, execution: ExecutionStates, status: str, *, is_last: bool) -> StateView:
    end = state.exited_at or (execution.ended_at if is_last else None)
    failed = [attempt for attempt in state.attempts if attempt.error]
    error, cause = (failed[-1].error, failed[-1].cause) if failed else ("", "")
    result = _result(state, status, is_last=is_last)
    if result == "failed" and is_last and execution.events[-1].is_end:
        details = execution.events[-1].details
        error, cause = str(details.get("error") or error), str(details.get("cause") or cause)
    return StateView(
        state.name,
        state.kind,
        result,
        end - state.entered_at if end else None,
        state.attempts,
        state.input,
        state.output,
        error,
        cause,
    )


def _result(state: EnteredState, status: str, *, is_last: bool) -> str:
    has_failed = bool(state.attempts and state.attempts[-1].error)
    if state.kind == "Fail":
        return "failed"
    if state.exited_at or not is_last:  # Without an exit in the log, the next state says that there was one.
        return "caught" if has_failed else "succeeded"
    if status in ("failed", "timed out", "aborted"):
        return "failed"
    return status if status in ("running", "unknown") else "succeeded"


def timeline(execution: ExecutionStates, now: datetime) -> list[dict[str, object]]:
    """The bars: each attempt of a Task and each other state, in milliseconds from the execution's begin."""
    bars: list[dict[str, object]] = []

    def add(label: str, began_at: datetime, ended_at: datetime | None, result: str) -> None:
        span = [(one - execution.begin) / timedelta(milliseconds=1) for one in (began_at, ended_at or now)]
        bars.append({"label": label, "from": span[0], "to": max(span), "result": result})

    for view, state in zip(state_views(execution, status_of(execution, now)), execution.states, strict=True):
        for number, attempt in enumerate(state.attempts, 1):
            label = f"{state.name} · {number}" if len(state.attempts) > 1 else state.name
            result = "caught" if attempt.error else "succeeded" if attempt.ended_at else view.result
            add(label, attempt.began_at, attempt.ended_at or execution.ended_at, result)
        if not state.attempts:
            add(state.name, state.entered_at, state.exited_at or state.entered_at, view.result)
    return bars


def pretty(payload: str | None) -> str:
    """JSON with line breaks; text that is no JSON, such as a truncated payload, as it is."""
    try:
        return json.dumps(json.loads(payload or ""), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return payload or ""
