"""Recover: what only the log holds is replayed once; everything that is held elsewhere is left alone."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ops.logs import executions
from ops.recover import recover
from ops.run import Run
from tests.unit.ops.conftest import ACCOUNT, LOG_GROUP, Pipeline, ago, submission

DAY = timedelta(days=1)
PROCESSED = {"ticket": {"status": "PROCESSED", "notifiedAt": "2026-01-31T12:00:00.000Z"}}


class Log:
    """The state machine's log group, written as AWS writes it."""

    def __init__(self, client: Any) -> None:
        self._client = client
        client.create_log_stream(logGroupName=LOG_GROUP, logStreamName="s")

    def line(self, execution: str, event: str, moment: datetime, **details: Any) -> None:
        milliseconds = round(moment.timestamp() * 1000)
        line = {
            "id": "1",
            "type": event,
            "details": details,
            "previous_event_id": "0",
            "event_timestamp": str(milliseconds),
            "execution_arn": f"{ACCOUNT}:{execution}:0b1c",
            "redrive_count": "0",
        }
        self.raw(json.dumps(line, separators=(",", ":")), milliseconds)

    def raw(self, message: str, milliseconds: int) -> None:
        self._client.put_log_events(
            logGroupName=LOG_GROUP,
            logStreamName="s",
            logEvents=[{"timestamp": milliseconds, "message": message}],
        )

    def execution(  # noqa: PLR0913 - what the log says of one
        self,
        name: str,
        execution_input: Any,
        end: str | None = "ExecutionFailed",
        *,
        began: datetime | None = None,
        truncated: bool = False,
        output: Any = PROCESSED,
    ) -> None:
        began = began or ago(minutes=30)
        text = execution_input if isinstance(execution_input, str) else json.dumps(execution_input)
        details = {"input": text, "inputDetails": {"truncated": truncated}, "roleArn": "arn"}
        self.line(name, "ExecutionStarted", began, **details)
        self.line(name, "TaskStateEntered", began, name="Store Ticket", input=text)
        if end == "ExecutionSucceeded":
            self.line(name, end, began + timedelta(seconds=3), output=json.dumps(output))
        elif end:
            self.line(name, end, began + timedelta(seconds=3), error="TicketFailed", cause="it failed")


@pytest.fixture
def log(pipeline: Pipeline) -> Log:
    return Log(pipeline.target.logs)


def test_where_nothing_was_lost_there_is_nothing_to_do(
    run: Callable[..., Run], capsys: Any, log: Log
) -> None:
    log.execution("t-1", submission("t-1"), "ExecutionSucceeded")

    assert recover(run(), DAY) == 0

    assert capsys.readouterr().out.splitlines() == [
        f"Reading {LOG_GROUP} …",
        "executions  submissions",
        "         1            1  processed and announced",
        "         1            1  in the log",
        "No ticket is in the log alone in the stack: there is nothing to recover.",
    ]


@pytest.mark.parametrize("end", ["ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted", None])
def test_a_ticket_that_only_the_log_holds_is_recovered_once(
    run: Callable[..., Run], pipeline: Pipeline, log: Log, capsys: Any, end: str | None
) -> None:
    log.execution("request-1", submission("t-1", "Only the log knows."), end)

    assert recover(run(), DAY) == 0
    assert recover(run(), DAY) == 0

    (message,) = pipeline.started
    ticket = pipeline.table.get("t-1")
    assert ticket
    assert ticket.content == "Only the log knows."
    assert ticket.notified_at
    assert message["execution"] == f"{ACCOUNT}:request-1:0b1c"
    assert message["error"] == ("TicketFailed" if end else "NeverEnded")
    out = capsys.readouterr().out
    assert "attempts 1  in log\nt-1  processed\n1 of 1 processed.\n" in out
    assert "there is nothing to recover" in out


def test_an_execution_that_may_still_end_is_left_alone(
    run: Callable[..., Run], pipeline: Pipeline, log: Log
) -> None:
    log.execution("request-1", submission("t-1"), None, began=ago(minutes=9))

    assert recover(run(), DAY) == 0

    assert pipeline.started == []


def test_a_lost_ticket_whose_replay_is_under_way_is_left_alone(
    run: Callable[..., Run], pipeline: Pipeline, log: Log
) -> None:
    log.execution("t-1", submission("t-1"))
    log.execution("t-1-r1", submission("t-1"), None, began=ago(minutes=1))

    assert recover(run(), DAY) == 0

    assert pipeline.started == []


def test_a_ticket_with_priority_goes_to_the_queue_of_those(
    run: Callable[..., Run], pipeline: Pipeline, log: Log
) -> None:
    urgent = submission("t-1")
    urgent["request"]["priority"] = "high"
    log.execution("t-1", urgent)
    pipeline.stands_still = True

    assert recover(run(deadline=0), DAY) == 0

    assert len(pipeline.take(pipeline.target.priority_waiting_room_url)) == 1
    assert pipeline.waiting_messages() == []


def test_a_ticket_that_is_stored_is_left_alone(run: Callable[..., Run], pipeline: Pipeline, log: Log) -> None:
    pipeline.fail("t-1")
    log.execution("t-1", submission("t-1"))

    assert recover(run(), DAY) == 0

    assert pipeline.started == []


def test_a_ticket_in_the_failed_tickets_queue_is_left_alone(
    run: Callable[..., Run], pipeline: Pipeline, log: Log
) -> None:
    pipeline.queue("no JSON")
    pipeline.queue_failure("t-1")
    log.execution("t-1", submission("t-1"))

    assert recover(run(), DAY) == 0

    assert pipeline.started == []
    assert len(pipeline.take(pipeline.target.failed_tickets_queue_url)) == 2


def test_a_ticket_that_was_processed_and_then_deleted_does_not_come_back(
    run: Callable[..., Run], pipeline: Pipeline, log: Log
) -> None:
    log.execution("t-1", submission("t-1"))
    log.execution("t-1-r1", submission("t-1"), "ExecutionSucceeded")

    assert recover(run(), DAY) == 0

    assert pipeline.started == []


def test_a_ticket_whose_message_is_in_the_waiting_room_already_is_processed_once(
    run: Callable[..., Run], pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    log.execution("t-1", submission("t-1"))
    pipeline.stands_still = True
    assert recover(run(deadline=0), DAY) == 0
    assert "1 still waiting after 0 s: it goes on by itself.\n" in capsys.readouterr().out

    pipeline.stands_still = False
    assert recover(run(), DAY) == 0

    assert len(pipeline.started) == 2
    ticket = pipeline.table.get("t-1")
    assert ticket
    assert ticket.attempts == 1
    assert ticket.notified_at


DEFERRED = {"failure": {"Error": "StoreUnavailable", "Cause": "no answer"}}
LEFT_WAITING = {"left alone: in the waiting room": (1, 1), "in the log": (1, 1)}


def test_a_ticket_whose_latest_execution_deferred_it_is_left_to_the_waiting_room(
    run: Callable[..., Run], pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    log.execution("t-1", submission("t-1"), began=ago(minutes=40))
    log.execution("t-1-r0", submission("t-1"), "ExecutionSucceeded", output=DEFERRED)

    assert recover(run(), DAY) == 0

    assert pipeline.started == []
    assert account(capsys.readouterr().out) == {
        "left alone: in the waiting room": (2, 1),
        "in the log": (2, 1),
    }


def test_a_ticket_that_failed_after_it_was_deferred_is_recovered(
    run: Callable[..., Run], pipeline: Pipeline, log: Log
) -> None:
    log.execution("t-1", submission("t-1"), "ExecutionSucceeded", output=DEFERRED, began=ago(minutes=40))
    log.execution("t-1-r0", submission("t-1"))

    assert recover(run(), DAY) == 0

    assert len(pipeline.started) == 1


def test_a_deferred_execution_needs_no_input_in_the_log(
    run: Callable[..., Run], log: Log, capsys: Any
) -> None:
    cut = json.dumps(submission("t-1"))[:-20]
    log.execution("t-1", cut, "ExecutionSucceeded", output=DEFERRED, truncated=True)

    assert recover(run(), DAY) == 0

    assert account(capsys.readouterr().out) == LEFT_WAITING


def test_a_stored_ticket_that_waits_is_counted_as_waiting(
    run: Callable[..., Run], pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    pipeline.wait("t-1", "TicketStuck", since=ago(minutes=1))
    log.execution("t-1", submission("t-1"), "ExecutionTimedOut")

    assert recover(run(), DAY) == 0

    assert account(capsys.readouterr().out) == LEFT_WAITING


DUPLICATE = {"ticket": {"status": "RECEIVED"}, "isDuplicate": True}


def test_a_duplicate_says_nothing_about_its_submission(
    run: Callable[..., Run], pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    log.execution("t-1", submission("t-1"), began=ago(minutes=40))
    log.execution("t-1-r0", submission("t-1"), "ExecutionSucceeded", output=DUPLICATE)
    log.execution("t-2-r0", submission("t-2"), "ExecutionSucceeded", output=DUPLICATE)

    assert recover(run(), DAY) == 0

    assert [message["input"]["ticketId"] for message in pipeline.started] == ["t-1"]
    assert account(capsys.readouterr().out) == {
        "left alone: in the table (make replay, or the sweep)": (1, 1),
        "in the log alone: to be started again": (2, 1),
        "in the log": (3, 2),
    }


def account(output: str) -> dict[str, tuple[int, int]]:
    """The table of the report: executions and submissions by what became of them."""
    lines = output.split("executions  submissions\n")[1].splitlines()
    rows = [
        line.split(None, 2)
        for line in lines[: [line.endswith("in the log") for line in lines].index(True) + 1]
    ]
    return {what: (int(executions), int(submissions)) for executions, submissions, what in rows}


def test_every_submission_under_one_id_is_recovered(
    run: Callable[..., Run], pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    log.execution("request-1", submission("t-1", "First."), began=ago(minutes=40))
    log.execution("request-2", submission("t-1", "Second."), began=ago(minutes=30))

    assert recover(run(), DAY) == 0

    assert [message["input"]["request"]["content"] for message in pipeline.started] == ["First.", "Second."]
    table = account(capsys.readouterr().out)
    assert table == {"in the log alone: to be started again": (2, 2), "in the log": (2, 2)}
    stored = pipeline.target.dynamodb.scan(TableName=pipeline.target.tickets_table)["Items"]
    assert sorted(item["content"]["S"] for item in stored) == ["First.", "Second."]
    assert all("notifiedAt" in item for item in stored)


def test_a_processed_submission_does_not_hide_a_lost_one_under_the_same_id(
    run: Callable[..., Run], pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    pipeline.store("t-1", "First.")
    pipeline.process("t-1")
    log.execution("request-1", submission("t-1", "First."), "ExecutionSucceeded", began=ago(minutes=40))
    log.execution("request-2", submission("t-1", "Second."))

    assert recover(run(), DAY) == 0

    (message,) = pipeline.started
    assert message["input"]["request"]["content"] == "Second."
    assert account(capsys.readouterr().out)["in the log"] == (2, 2)
    first = pipeline.table.get("t-1")
    assert first
    assert first.content == "First."


def test_an_execution_that_ended_well_without_an_announcement_has_processed_nothing(
    run: Callable[..., Run], pipeline: Pipeline, log: Log
) -> None:
    log.execution("t-1", submission("t-1"), "ExecutionSucceeded", output={"ticket": {"status": "RECEIVED"}})

    assert recover(run(), DAY) == 0

    assert len(pipeline.started) == 1


def test_the_account_holds_every_execution_once(
    run: Callable[..., Run], pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    log.execution("t-1", submission("t-1"), "ExecutionSucceeded")
    log.execution("t-2", submission("t-2"))
    log.execution("t-2-r2", submission("t-2"), "ExecutionSucceeded")
    log.execution("t-3", submission("t-3"), None, began=ago(minutes=1))
    pipeline.queue_failure("t-4")
    log.execution("t-4", submission("t-4"))
    log.execution("t-4-r1", submission("t-4"))
    pipeline.fail("t-5")
    log.execution("t-5", submission("t-5"))
    log.execution("t-6", submission("t-6"))
    log.execution("cut", json.dumps(submission("t-7"))[:-20], truncated=True)
    log.execution("by-hand", {})
    log.execution("t-8", submission("t-8"), "ExecutionSucceeded", output=DEFERRED)
    log.line("startless", "ExecutionSucceeded", ago(minutes=30))

    assert recover(run(dry_run=True), DAY) == 0

    assert account(capsys.readouterr().out) == {
        "processed and announced": (4, 3),
        "may still end: started within the last ten minutes": (1, 1),
        "left alone: in the waiting room": (1, 1),
        "left alone: in the failed-tickets queue (make replay)": (2, 1),
        "left alone: in the table (make replay, or the sweep)": (1, 1),
        "in the log alone: to be started again": (1, 1),
        "cannot be started again: the log does not hold the input": (1, 1),
        "left alone: the input is not a submission": (1, 1),
        "in the log": (12, 10),
    }


def test_a_dry_run_lists_and_changes_nothing(
    run: Callable[..., Run], pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    log.execution("t-1", submission("t-1"))
    pipeline.queue_failure("t-2")

    assert recover(run(dry_run=True), DAY) == 0

    out = capsys.readouterr().out
    assert "t-1  TicketFailed  29m ago  attempts 1  in log\nDry run: nothing was changed.\n" in out
    assert len(pipeline.failed_messages()) == 1
    assert pipeline.waiting_messages() == []


def test_an_input_that_is_cut_is_told_and_not_replayed(
    run: Callable[..., Run], pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    log.execution("request-1", json.dumps(submission("t-1"))[:-20], truncated=True)
    log.execution("request-2", submission("t-2"))

    assert recover(run(), DAY) == 1

    assert "Execution request-1 cannot be repeated: its input is cut in the log.\n" in capsys.readouterr().out
    assert [message["input"]["ticketId"] for message in pipeline.started] == ["t-2"]


def test_an_execution_whose_start_is_not_logged_is_told(
    run: Callable[..., Run], log: Log, capsys: Any
) -> None:
    log.line("request-1", "ExecutionFailed", ago(minutes=30), error="TicketFailed")

    assert recover(run(), DAY) == 1

    assert "request-1 cannot be repeated: the log does not hold its input.\n" in capsys.readouterr().out


@pytest.mark.parametrize("execution_input", [{}, [], "null", "no JSON", {"ticketId": 1}, {"ticketId": "t-1"}])
def test_an_input_that_is_no_submission_is_told_and_left(
    run: Callable[..., Run], pipeline: Pipeline, log: Log, capsys: Any, execution_input: Any
) -> None:
    log.execution("by-hand", execution_input)

    assert recover(run(), DAY) == 0

    assert "Execution by-hand cannot be repeated: " in capsys.readouterr().out
    assert pipeline.started == []


def test_a_ticket_whose_id_was_taken_meanwhile_gets_another_one(
    run: Callable[..., Run], pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    log.execution("t-1", submission("t-1"))

    def store_another(_seconds: float) -> None:
        pipeline.store("t-1", "Something else.")
        pipeline.work()

    assert recover(run(pause=store_another), DAY) == 0

    assert "t-1  processed\n1 of 1 processed.\n" in capsys.readouterr().out
    other = pipeline.table.get("t-1")
    assert other
    assert other.content == "Something else."


def test_a_ticket_that_fails_again_is_told(
    run: Callable[..., Run], pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    log.execution("t-1", submission("t-1"))
    pipeline.error = "ModelRejected"

    assert recover(run(), DAY) == 1

    assert "t-1  failed again: ModelRejected\n" in capsys.readouterr().out


def test_what_is_no_line_of_an_execution_is_passed_over(
    run: Callable[..., Run], pipeline: Pipeline, log: Log
) -> None:
    moment = round(ago(minutes=30).timestamp() * 1000)
    for message in ('"Execution', '["Execution"]', '{"type":"ExecutionFailed"}', "", '{"a":"Execution'):
        log.raw(message or " ", moment)

    assert recover(run(), DAY) == 0

    assert pipeline.started == []


def test_executions_that_ended_before_the_time_asked_for_are_not_read(pipeline: Pipeline, log: Log) -> None:
    log.execution("old", submission("t-1"), began=ago(minutes=62))
    log.execution("across", submission("t-2"), "ExecutionSucceeded", began=ago(minutes=60, seconds=1))
    log.line("older", "ExecutionFailed", ago(minutes=61))

    found = executions(pipeline.target.logs, LOG_GROUP, ago(hours=1))

    assert [(one.name, one.is_processed) for one in found] == [("across", True)]


def test_only_the_lines_of_executions_are_asked_for_and_empty_pages_are_passed_over() -> None:
    """As AWS answers: a page may be empty though others follow."""
    asked: list[dict[str, Any]] = []

    def event(number: int, kind: str) -> dict[str, Any]:
        line = {"type": kind, "execution_arn": f"arn:{number}", "event_timestamp": "1800000000000"}
        return {"message": json.dumps(line)}

    class Logs:
        def get_paginator(self, _operation: str) -> "Logs":
            return self

        def paginate(self, **arguments: Any) -> Any:
            asked.append(arguments)
            yield {"events": []}
            yield {"events": [event(number, "ExecutionStarted") for number in range(3)]}
            yield {"events": []}
            yield {"events": [event(number, "ExecutionSucceeded") for number in range(3)]}

    client: Any = Logs()
    found = list(executions(client, LOG_GROUP, datetime.fromtimestamp(1_800_000_000, UTC)))

    assert len(found) == 3
    assert all(one.is_processed for one in found)
    assert [arguments["filterPattern"] for arguments in asked] == ['{ $.type = "Execution*" }']
