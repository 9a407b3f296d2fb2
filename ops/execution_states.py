"""The states of executions, from the state machine's log."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops.execution_log import execution_name
from ops.formatting import one_line, sanitize
from ops.log_reader import TimeWindow, read_lines

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class EnteredState:
    """A state that an execution entered.

    `tries` counts the attempts of a Task, `errors` has an error's name for each that failed, and `waited` is
    the time between the attempts. `exited_at` is None in a Fail state, or if the log does not contain it.
    """

    name: str
    entered_at: datetime
    exited_at: datetime | None = None
    tries: int = 0
    errors: list[str] = field(default_factory=list)
    waited: timedelta = timedelta(0)
    _failed_at: datetime | None = None

    def apply(self, event_type: str, details: dict[str, Any], moment: datetime) -> None:
        """Add what an event of the log says about the state."""
        if event_type == "TaskScheduled":
            self.tries += 1
            self.waited += moment - (self._failed_at or moment)
        elif event_type in ("TaskFailed", "TaskTimedOut"):
            self.errors.append(sanitize(details.get("error") or "States.Timeout"))
            self._failed_at = moment
        elif event_type.endswith("StateExited"):
            self.exited_at = moment


@dataclass(slots=True)
class ExecutionStates:
    """One execution and its states in their order, as far as the log contains them."""

    arn: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    end_event: str = ""
    states: list[EnteredState] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of the execution."""
        return execution_name(self.arn)

    @property
    def begin(self) -> datetime:
        """The time of the first known event."""
        return self.started_at or (self.states[0].entered_at if self.states else _NEVER)

    @property
    def outcome(self) -> str:
        """How the execution ended, in one or two words."""
        last = self.states[-1].name if self.states else ""
        match self.end_event, last:
            case "ExecutionSucceeded", "Ticket Deferred":
                return "deferred"
            case "ExecutionSucceeded", "Duplicate Ignored":
                return "duplicate ignored"
            case "ExecutionSucceeded", _:
                return "notified"
            case "", _:
                return "not ended in the log"
            case event, _:
                return event.removeprefix("Execution").replace("TimedOut", "timed out").lower()

    def apply(self, event: dict[str, Any]) -> None:
        """Add an event of the log."""
        kind, details = event["type"], event.get("details") or {}
        moment = datetime.fromtimestamp(int(event["event_timestamp"]) / 1000, UTC)
        if kind == "ExecutionStarted":
            self.started_at = moment
        elif kind.startswith("Execution"):
            self.end_event, self.ended_at = kind, moment
        elif kind.endswith("StateEntered"):
            self.states.append(EnteredState(one_line(details["name"]), moment))
        elif self.states:
            self.states[-1].apply(kind, details, moment)


def read_executions_named(
    client: CloudWatchLogsClient, log_group: str, name: str, window: TimeWindow
) -> list[ExecutionStates]:
    """The executions that are called `name`, or `name-…` as those from the waiting room, oldest first.

    Raises botocore's errors.
    """
    events: dict[str, list[dict[str, Any]]] = {}
    for event in read_lines(client, log_group, "execution_arn", f"*:{name}*", window):
        if f"{execution_name(event['execution_arn'])}-".startswith(f"{name}-"):
            events.setdefault(event["execution_arn"], []).append(event)
    executions = [_execution(arn, logged) for arn, logged in events.items()]
    return sorted(executions, key=lambda execution: execution.begin)


def read_states(
    client: CloudWatchLogsClient, log_group: str, execution: str, window: TimeWindow
) -> list[EnteredState]:
    """The states of an execution, of which the name or the ARN is given. Raises botocore's errors."""
    found = read_executions_named(client, log_group, execution_name(execution), window)
    # Names may be repeated: then the last one.
    matching = [one for one in found if execution in (one.arn, one.name)]
    return matching[-1].states if matching else []


def _execution(arn: str, events: list[dict[str, Any]]) -> ExecutionStates:
    execution = ExecutionStates(arn)
    for event in sorted(events, key=lambda event: int(event["id"])):
        execution.apply(event)
    return execution
