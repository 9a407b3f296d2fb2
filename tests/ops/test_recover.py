"""Recover: tickets that are only in the log are replayed once; all others are skipped."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ops.execution_log import execution_name, read_executions
from ops.recover import recover
from tests.ops.conftest import ACCOUNT, LOG_GROUP, ContextFactory, Pipeline, ago, submission

DAY = timedelta(days=1)
PROCESSED = {"ticket": {"status": "PROCESSED", "notifiedAt": "2026-01-31T12:00:00.000Z"}}


class Log:
    """Writes the state machine's log group in AWS's format."""

    def __init__(self, client: Any) -> None:
        self._client = client
        client.create_log_stream(logGroupName=LOG_GROUP, logStreamName="s")

    def event(self, execution: str, event_type: str, time: datetime, **details: Any) -> None:
        milliseconds = round(time.timestamp() * 1000)
        event = {
            "id": "1",
            "type": event_type,
            "details": details,
            "previous_event_id": "0",
            "event_timestamp": str(milliseconds),
            "execution_arn": f"{ACCOUNT}:{execution}:0b1c",
            "redrive_count": "0",
        }
        self.raw(json.dumps(event, separators=(",", ":")), milliseconds)

    def raw(self, message: str, milliseconds: int) -> None:
        self._client.put_log_events(
            logGroupName=LOG_GROUP,
            logStreamName="s",
            logEvents=[{"timestamp": milliseconds, "message": message}],
        )

    def execution(  # noqa: PLR0913 - the fields of an execution
        self,
        name: str,
        execution_input: Any,
        end: str | None = "ExecutionFailed",
        *,
        started_at: datetime | None = None,
        truncated: bool = False,
        output: Any = PROCESSED,
    ) -> None:
        started_at = started_at or ago(minutes=30)
        text = execution_input if isinstance(execution_input, str) else json.dumps(execution_input)
        details = {"input": text, "inputDetails": {"truncated": truncated}, "roleArn": "arn"}
        self.event(name, "ExecutionStarted", started_at, **details)
        self.event(name, "TaskStateEntered", started_at, name="Store Ticket", input=text)
        if end == "ExecutionSucceeded":
            self.event(name, end, started_at + timedelta(seconds=3), output=json.dumps(output))
        elif end:
            self.event(name, end, started_at + timedelta(seconds=3), error="TicketFailed", cause="it failed")


@pytest.fixture
def log(pipeline: Pipeline) -> Log:
    return Log(pipeline.target.logs)


def test_without_lost_tickets_there_is_nothing_to_recover(
    context: ContextFactory, capsys: Any, log: Log
) -> None:
    log.execution("t-1", submission("t-1"), "ExecutionSucceeded")

    assert recover(context(), DAY) == 0

    assert capsys.readouterr().out.splitlines() == [
        f"Reading {LOG_GROUP} …",
        "executions  submissions",
        "         1            1  processed",
        "         1            1  in the log",
        "No ticket is only in the log of the stack: there is nothing to recover.",
    ]


@pytest.mark.parametrize("end", ["ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted", None])
def test_a_ticket_that_is_only_in_the_log_is_recovered_once(
    context: ContextFactory, pipeline: Pipeline, log: Log, capsys: Any, end: str | None
) -> None:
    log.execution("request-1", submission("t-1", "Only in the log."), end)

    assert recover(context(), DAY) == 0
    assert recover(context(), DAY) == 0

    (message,) = pipeline.consumed
    ticket = pipeline.table.get("t-1")
    assert ticket
    assert ticket.content == "Only in the log."
    assert ticket.notified_at
    assert message["execution"] == f"{ACCOUNT}:request-1:0b1c"
    assert message["error"] == ("TicketFailed" if end else "NeverEnded")
    out = capsys.readouterr().out
    assert "attempts 1  in log  not stored\nt-1  processed\n1 of 1 processed.\n" in out
    assert "there is nothing to recover" in out


def test_an_execution_that_may_be_running_is_skipped(
    context: ContextFactory, pipeline: Pipeline, log: Log
) -> None:
    log.execution("request-1", submission("t-1"), None, started_at=ago(minutes=9))

    assert recover(context(), DAY) == 0

    assert pipeline.consumed == []


def test_a_lost_ticket_whose_replay_is_running_is_skipped(
    context: ContextFactory, pipeline: Pipeline, log: Log
) -> None:
    log.execution("t-1", submission("t-1"))
    log.execution("t-1-r1", submission("t-1"), None, started_at=ago(minutes=1))

    assert recover(context(), DAY) == 0

    assert pipeline.consumed == []


def test_a_ticket_with_priority_is_sent_to_the_priority_queue(
    context: ContextFactory, pipeline: Pipeline, log: Log
) -> None:
    urgent = submission("t-1")
    urgent["request"]["priority"] = "high"
    log.execution("t-1", urgent)
    pipeline.is_stopped = True

    assert recover(context(deadline=0), DAY) == 0

    assert len(pipeline.receive(pipeline.target.priority_waiting_room_url)) == 1
    assert pipeline.waiting_messages() == []


def test_a_stored_ticket_is_skipped(context: ContextFactory, pipeline: Pipeline, log: Log) -> None:
    pipeline.fail("t-1")
    log.execution("t-1", submission("t-1"))

    assert recover(context(), DAY) == 0

    assert pipeline.consumed == []


def test_a_ticket_in_the_failed_tickets_queue_is_skipped(
    context: ContextFactory, pipeline: Pipeline, log: Log
) -> None:
    pipeline.queue_message("not JSON")
    pipeline.queue_failure("t-1")
    log.execution("t-1", submission("t-1"))

    assert recover(context(), DAY) == 0

    assert pipeline.consumed == []
    assert len(pipeline.receive(pipeline.target.failed_tickets_queue_url)) == 2


def test_a_ticket_that_was_processed_and_then_deleted_is_not_recovered(
    context: ContextFactory, pipeline: Pipeline, log: Log
) -> None:
    log.execution("t-1", submission("t-1"))
    log.execution("t-1-r1", submission("t-1"), "ExecutionSucceeded")

    assert recover(context(), DAY) == 0

    assert pipeline.consumed == []


def test_a_ticket_that_is_sent_to_the_waiting_room_twice_is_processed_once(
    context: ContextFactory, pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    log.execution("t-1", submission("t-1"))
    pipeline.is_stopped = True
    assert recover(context(deadline=0), DAY) == 0
    assert "1 still waiting after 0 s: it continues automatically.\n" in capsys.readouterr().out

    pipeline.is_stopped = False
    assert recover(context(), DAY) == 0

    assert len(pipeline.consumed) == 2
    ticket = pipeline.table.get("t-1")
    assert ticket
    assert ticket.attempts == 1
    assert ticket.notified_at


DEFERRED = {"failure": {"Error": "StoreUnavailable", "Cause": "no answer"}}
ONE_WAITING = {"skipped: in the waiting room": (1, 1), "in the log": (1, 1)}


def test_a_ticket_whose_latest_execution_deferred_it_is_skipped(
    context: ContextFactory, pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    log.execution("t-1", submission("t-1"), started_at=ago(minutes=40))
    log.execution("t-1-r0", submission("t-1"), "ExecutionSucceeded", output=DEFERRED)

    assert recover(context(), DAY) == 0

    assert pipeline.consumed == []
    assert state_counts(capsys.readouterr().out) == {
        "skipped: in the waiting room": (2, 1),
        "in the log": (2, 1),
    }


def test_a_ticket_that_failed_after_it_was_deferred_is_recovered(
    context: ContextFactory, pipeline: Pipeline, log: Log
) -> None:
    log.execution("t-1", submission("t-1"), "ExecutionSucceeded", output=DEFERRED, started_at=ago(minutes=40))
    log.execution("t-1-r0", submission("t-1"))

    assert recover(context(), DAY) == 0

    assert len(pipeline.consumed) == 1


def test_a_deferred_execution_is_counted_without_its_input(
    context: ContextFactory, log: Log, capsys: Any
) -> None:
    truncated_input = json.dumps(submission("t-1"))[:-20]
    log.execution("t-1", truncated_input, "ExecutionSucceeded", output=DEFERRED, truncated=True)

    assert recover(context(), DAY) == 0

    assert state_counts(capsys.readouterr().out) == ONE_WAITING


def test_a_stored_ticket_that_waits_is_counted_as_waiting(
    context: ContextFactory, pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    pipeline.wait("t-1", "TicketStuck", since=ago(minutes=1))
    log.execution("t-1", submission("t-1"), "ExecutionTimedOut")

    assert recover(context(), DAY) == 0

    assert state_counts(capsys.readouterr().out) == ONE_WAITING


DUPLICATE = {"ticket": {"status": "RECEIVED"}, "isDuplicate": True}


def test_a_duplicate_execution_does_not_change_the_state_of_its_submission(
    context: ContextFactory, pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    log.execution("t-1", submission("t-1"), started_at=ago(minutes=40))
    log.execution("t-1-r0", submission("t-1"), "ExecutionSucceeded", output=DUPLICATE)
    log.execution("t-2-r0", submission("t-2"), "ExecutionSucceeded", output=DUPLICATE)

    assert recover(context(), DAY) == 0

    assert [message["input"]["ticketId"] for message in pipeline.consumed] == ["t-1"]
    assert state_counts(capsys.readouterr().out) == {
        "skipped: in the table (make replay, or the sweep)": (1, 1),
        "only in the log: to be replayed": (2, 1),
        "in the log": (3, 2),
    }


def state_counts(output: str) -> dict[str, tuple[int, int]]:
    """The table in the output: executions and submissions by state."""
    lines = output.split("executions  submissions\n")[1].splitlines()
    rows = [
        line.split(None, 2)
        for line in lines[: [line.endswith("in the log") for line in lines].index(True) + 1]
    ]
    return {state: (int(executions), int(submissions)) for executions, submissions, state in rows}


def test_all_submissions_with_the_same_id_are_recovered(
    context: ContextFactory, pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    log.execution("request-1", submission("t-1", "First."), started_at=ago(minutes=40))
    log.execution("request-2", submission("t-1", "Second."), started_at=ago(minutes=30))

    assert recover(context(), DAY) == 0

    assert [message["input"]["request"]["content"] for message in pipeline.consumed] == ["First.", "Second."]
    table = state_counts(capsys.readouterr().out)
    assert table == {"only in the log: to be replayed": (2, 2), "in the log": (2, 2)}
    stored = pipeline.target.dynamodb.scan(TableName=pipeline.target.tickets_table)["Items"]
    assert sorted(item["content"]["S"] for item in stored) == ["First.", "Second."]
    assert all("notifiedAt" in item for item in stored)


def test_a_processed_submission_does_not_hide_a_lost_one_with_the_same_id(
    context: ContextFactory, pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    pipeline.store("t-1", "First.")
    pipeline.process("t-1")
    log.execution("request-1", submission("t-1", "First."), "ExecutionSucceeded", started_at=ago(minutes=40))
    log.execution("request-2", submission("t-1", "Second."))

    assert recover(context(), DAY) == 0

    (message,) = pipeline.consumed
    assert message["input"]["request"]["content"] == "Second."
    assert state_counts(capsys.readouterr().out)["in the log"] == (2, 2)
    first = pipeline.table.get("t-1")
    assert first
    assert first.content == "First."


def test_an_execution_that_succeeded_without_a_notification_has_not_processed_its_ticket(
    context: ContextFactory, pipeline: Pipeline, log: Log
) -> None:
    log.execution("t-1", submission("t-1"), "ExecutionSucceeded", output={"ticket": {"status": "RECEIVED"}})

    assert recover(context(), DAY) == 0

    assert len(pipeline.consumed) == 1


def test_every_execution_is_counted_once(
    context: ContextFactory, pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    log.execution("t-1", submission("t-1"), "ExecutionSucceeded")
    log.execution("t-2", submission("t-2"))
    log.execution("t-2-r2", submission("t-2"), "ExecutionSucceeded")
    log.execution("t-3", submission("t-3"), None, started_at=ago(minutes=1))
    pipeline.queue_failure("t-4")
    log.execution("t-4", submission("t-4"))
    log.execution("t-4-r1", submission("t-4"))
    pipeline.fail("t-5")
    log.execution("t-5", submission("t-5"))
    log.execution("t-6", submission("t-6"))
    log.execution("truncated", json.dumps(submission("t-7"))[:-20], truncated=True)
    log.execution("by-hand", {})
    log.execution("t-8", submission("t-8"), "ExecutionSucceeded", output=DEFERRED)
    log.event("start-not-logged", "ExecutionSucceeded", ago(minutes=30))

    assert recover(context(dry_run=True), DAY) == 0

    assert state_counts(capsys.readouterr().out) == {
        "processed": (4, 3),
        "may still be running: started within the last ten minutes": (1, 1),
        "skipped: in the waiting room": (1, 1),
        "skipped: in the failed-tickets queue (make replay)": (2, 1),
        "skipped: in the table (make replay, or the sweep)": (1, 1),
        "only in the log: to be replayed": (1, 1),
        "cannot be replayed: the log does not contain the input": (1, 1),
        "skipped: the input is not a submission": (1, 1),
        "in the log": (12, 10),
    }


def test_a_dry_run_lists_the_tickets_and_changes_nothing(
    context: ContextFactory, pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    log.execution("t-1", submission("t-1"))
    pipeline.queue_failure("t-2")

    assert recover(context(dry_run=True), DAY) == 0

    out = capsys.readouterr().out
    assert (
        "t-1  TicketFailed  29m ago  attempts 1  in log  not stored\nDry run: nothing was changed.\n" in out
    )
    assert len(pipeline.failed_messages()) == 1
    assert pipeline.waiting_messages() == []


def test_an_execution_with_a_truncated_input_is_reported(
    context: ContextFactory, pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    log.execution("request-1", json.dumps(submission("t-1"))[:-20], truncated=True)
    log.execution("request-2", submission("t-2"))

    assert recover(context(), DAY) == 1

    assert (
        "Execution request-1 cannot be replayed: its input is truncated in the log.\n"
        in capsys.readouterr().out
    )
    assert [message["input"]["ticketId"] for message in pipeline.consumed] == ["t-2"]


def test_an_execution_whose_start_was_not_logged_is_reported(
    context: ContextFactory, log: Log, capsys: Any
) -> None:
    log.event("request-1", "ExecutionFailed", ago(minutes=30), error="TicketFailed")

    assert recover(context(), DAY) == 1

    assert "request-1 cannot be replayed: the log does not contain its input.\n" in capsys.readouterr().out


@pytest.mark.parametrize("execution_input", [{}, [], "null", "{", {"ticketId": 1}, {"ticketId": "t-1"}])
def test_an_execution_whose_input_is_not_a_submission_is_reported_and_skipped(
    context: ContextFactory, pipeline: Pipeline, log: Log, capsys: Any, execution_input: Any
) -> None:
    log.execution("by-hand", execution_input)

    assert recover(context(), DAY) == 0

    assert "Execution by-hand cannot be replayed: " in capsys.readouterr().out
    assert pipeline.consumed == []


def test_a_ticket_whose_id_is_taken_gets_another_id(
    context: ContextFactory, pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    log.execution("t-1", submission("t-1"))

    def store_another(_seconds: float) -> None:
        pipeline.store("t-1", "Something else.")
        pipeline.consume()

    assert recover(context(sleep=store_another), DAY) == 0

    assert "t-1  processed\n1 of 1 processed.\n" in capsys.readouterr().out
    other = pipeline.table.get("t-1")
    assert other
    assert other.content == "Something else."


def test_a_ticket_that_fails_again_is_reported(
    context: ContextFactory, pipeline: Pipeline, log: Log, capsys: Any
) -> None:
    log.execution("t-1", submission("t-1"))
    pipeline.error = "ModelRejected"

    assert recover(context(), DAY) == 1

    assert "t-1  failed again: ModelRejected\n" in capsys.readouterr().out


def test_other_lines_in_the_log_are_ignored(context: ContextFactory, pipeline: Pipeline, log: Log) -> None:
    milliseconds = round(ago(minutes=30).timestamp() * 1000)
    for message in ('"Execution', '["Execution"]', '{"type":"ExecutionFailed"}', "", '{"a":"Execution'):
        log.raw(message or " ", milliseconds)

    assert recover(context(), DAY) == 0

    assert pipeline.consumed == []


def test_executions_that_ended_before_the_selected_time_are_ignored(pipeline: Pipeline, log: Log) -> None:
    log.execution("old", submission("t-1"), started_at=ago(minutes=62))
    log.execution("across", submission("t-2"), "ExecutionSucceeded", started_at=ago(minutes=60, seconds=1))
    log.event("older", "ExecutionFailed", ago(minutes=61))

    found = read_executions(pipeline.target.logs, LOG_GROUP, ago(hours=1))

    assert [(execution_name(one.arn), one.is_processed) for one in found] == [("across", True)]


def test_only_start_and_end_events_are_requested_and_empty_pages_are_skipped() -> None:
    """AWS may return an empty page before others."""
    requests: list[dict[str, Any]] = []

    def event(number: int, event_type: str) -> dict[str, Any]:
        line = {"type": event_type, "execution_arn": f"arn:{number}", "event_timestamp": "1800000000000"}
        return {"message": json.dumps(line)}

    class PaginatedLogs:
        def get_paginator(self, _operation: str) -> "PaginatedLogs":
            return self

        def paginate(self, **arguments: Any) -> Any:
            requests.append(arguments)
            yield {"events": []}
            yield {"events": [event(number, "ExecutionStarted") for number in range(3)]}
            yield {"events": []}
            yield {"events": [event(number, "ExecutionSucceeded") for number in range(3)]}

    client: Any = PaginatedLogs()
    found = list(read_executions(client, LOG_GROUP, datetime.fromtimestamp(1_800_000_000, UTC)))

    assert len(found) == 3
    assert all(one.is_processed for one in found)
    assert [arguments["filterPattern"] for arguments in requests] == ['{ $.type = "Execution*" }']


@pytest.mark.parametrize("is_masked", [True, False])
def test_the_log_is_read_unmasked_only_if_it_is_masked(
    context: ContextFactory, pipeline: Pipeline, *, is_masked: bool
) -> None:
    target = replace(pipeline.target, is_log_masked=is_masked)
    requests: list[dict[str, Any]] = []
    target.logs.meta.events.register(
        "provide-client-params.cloudwatch-logs.FilterLogEvents",
        lambda params, **_: requests.append(dict(params)),
    )

    recover(context(target=target), timedelta(hours=1))

    assert [request["unmask"] for request in requests] == [is_masked]
