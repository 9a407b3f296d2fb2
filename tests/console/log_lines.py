"""Lines of an EXPRESS execution as AWS writes them: scalars are text; input and output are JSON in a text."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from ops.execution_log import LoggedEvent
from ops.execution_states import ExecutionStates, parse_executions

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
MACHINE = "arn:aws:states:eu-west-1:123456789012:express:pipeline"
TICKET = "bda67371-3461-482e-9d3b-63c0f79a2dc5"
INPUT = json.dumps({"ticketId": TICKET, "request": {"content": "<b>I was charged twice.</b>"}})


def arn_of(name: str = TICKET) -> str:
    return f"{MACHINE}:{name}:0c7b1a5e-4d2f-4e8a-9f0d-2f6f0a1b3c4d"


class History:
    """Writes the events of one execution, each after the one before."""

    def __init__(self, name: str = TICKET, start: datetime = START) -> None:
        self.arn = arn_of(name)
        self.now = start
        self.lines: list[str] = []

    def add(self, kind: str, seconds: float = 0.1, **details: Any) -> "History":
        """An event, so many seconds after the one before."""
        number = len(self.lines) + 1
        self.now += timedelta(seconds=seconds)
        event = {
            "id": str(number),
            "type": kind,
            "details": details,
            "previous_event_id": str(number - 1 if number > 2 else 0),
            "event_timestamp": str(round(self.now.timestamp() * 1000)),
            "execution_arn": self.arn,
            "redrive_count": "0",
        }
        self.lines.append(json.dumps(event))
        return self

    def start(self) -> "History":
        return self.add("ExecutionStarted", 0, input=INPUT, inputDetails={"truncated": "false"})

    def enter(self, name: str, kind: str = "Task") -> "History":
        return self.add(f"{kind}StateEntered", name=name, input=INPUT, inputDetails={"truncated": "false"})

    def exit(self, name: str, kind: str = "Task") -> "History":
        return self.add(f"{kind}StateExited", name=name, output='{"ok": true}')

    def attempt(self, end: str = "TaskSucceeded", seconds: float = 1, **details: Any) -> "History":
        task: dict[str, Any] = {"resourceType": "lambda", "resource": "invoke"}
        self.add("TaskScheduled", region="eu-west-1", parameters="{}", timeoutInSeconds="10", **task)
        return self.add("TaskStarted", **task).add(end, seconds, **task, **details)

    def task(self, name: str) -> "History":
        return self.enter(name).attempt().exit(name)

    def succeed(self, **output: Any) -> "History":
        return self.add("ExecutionSucceeded", output=json.dumps(output))


def denied() -> History:
    """The model denies the call: caught, recorded, published, failed."""
    history = History().start().task("Store Ticket").enter("Classify Ticket")
    history.attempt("TaskFailed", error="ModelRejected", cause='{"errorMessage": "<i>denied</i>"}')
    history.exit("Classify Ticket").task("Record Failure").task("Publish Failure")
    history.add("FailStateEntered", name="Ticket Failed", input=INPUT)
    return history.add("ExecutionFailed", error="TicketFailed", cause="The ticket was not processed.")


def events(lines: Iterable[object]) -> Iterator[LoggedEvent]:
    return (event for line in lines if (event := LoggedEvent.parse(line)))


def parse(lines: Iterable[object]) -> ExecutionStates:
    (execution,) = parse_executions(events(lines))
    return execution
