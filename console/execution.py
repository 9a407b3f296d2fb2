"""One execution as its page shows it: what happened in each state, and a timeline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from console.executions import NOT_ENDED, open_status
from ops.execution_states import EnteredState, ExecutionStates


@dataclass(frozen=True, slots=True)
class StateView:
    """What happened in a state: `result` is succeeded, caught, failed, running or unknown."""

    state: EnteredState
    result: str
    duration: timedelta | None
    error: str
    cause: str

    @property
    def summary(self) -> str:
        """The result with the attempts, in words: `succeeded, 2 retries`."""
        retries = len(self.state.attempts) - 1
        return self.result + (f", {retries} retr{'y' if retries == 1 else 'ies'}" if retries > 0 else "")


def status_of(execution: ExecutionStates, now: datetime) -> str:
    """The status of an execution, in the words of the list."""
    return execution.outcome or open_status(execution.begin, now)


def state_views(execution: ExecutionStates, status: str) -> list[StateView]:
    """The states in the order in which they were entered; a state can be entered again."""
    return [_view(state, execution, status) for state in execution.states]


def _view(state: EnteredState, execution: ExecutionStates, status: str) -> StateView:
    is_last = state is execution.states[-1]
    failed = [attempt for attempt in state.attempts if attempt.error]
    error, cause = (failed[-1].error, failed[-1].cause) if failed else ("", "")
    # Without an exit in the log, the next state or the success says that there was one.
    is_left = state.exited_at or not is_last or execution.end_event == "ExecutionSucceeded"
    if is_left and state.kind != "Fail":
        result = "caught" if failed and failed[-1] is state.attempts[-1] else "succeeded"
    else:
        result = {"running": "running", NOT_ENDED: "unknown"}.get(status, "failed")
        end = execution.events[-1].details if execution.end_event else {}
        error, cause = str(end.get("error") or error), str(end.get("cause") or cause)
    ended_at = state.exited_at or (execution.ended_at if is_last else None)
    return StateView(state, result, ended_at - state.entered_at if ended_at else None, error, cause)


def timeline(execution: ExecutionStates, views: Sequence[StateView], now: datetime) -> list[dict[str, Any]]:
    """The bars: each attempt of a Task and each other state, in milliseconds from the execution's begin."""
    bars = []
    for view in views:
        state = view.state
        spans = [
            (one.began_at, one.ended_at or execution.ended_at or now, "caught" if one.error else view.result)
            for one in state.attempts
        ] or [(state.entered_at, state.exited_at or state.entered_at, view.result)]
        for number, (*span, result) in enumerate(spans, 1):
            label = f"{state.name} · {number}" if len(spans) > 1 else state.name
            begin, end = ((one - execution.begin) / timedelta(milliseconds=1) for one in span)
            bars.append({"label": label, "from": begin, "to": end, "result": result})
    return bars


def pretty(payload: str | None) -> str:
    """JSON with line breaks; text that is not JSON, such as a truncated payload, as it is."""
    try:
        return json.dumps(json.loads(payload or ""), indent=2, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return str(payload or "")
