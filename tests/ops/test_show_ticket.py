"""Ticket: an operator sees why a ticket failed, where, and what the functions logged about it."""

import json
from typing import Any

import pytest

from ops.failure_cause import readable_cause
from ops.options import UsageError
from ops.show_ticket import MAX_LINES, show_ticket
from tests.ops.conftest import FUNCTIONS, ContextFactory, Logs, Pipeline


def test_a_failed_ticket_is_shown_with_its_cause_its_states_and_its_log(
    context: ContextFactory, pipeline: Pipeline, logs: Logs, capsys: Any
) -> None:
    pipeline.fail("t-1")
    logs.event("t-1", "TaskStateEntered", name="Store Ticket", input="I was charged twice.")
    logs.event("t-1", "TaskStateEntered", name="Classify Ticket")
    logs.event("t-1", "TaskFailed", error="ModelRejected", cause="I was charged twice.")
    logs.event("t-1", "TaskFailed", error="ModelRejected")
    logs.event("t-1", "FailStateEntered", name="Ticket Failed")
    logs.event("another", "TaskStateEntered", name="Update Ticket")
    logs.line("task failed", error="ModelRejected", reason="Converse: denied", content="I was charged twice.")

    assert show_ticket(context(), "t-1", FUNCTIONS) == 0

    out = capsys.readouterr().out
    lines = [line.split("Z  ")[-1] for line in out.splitlines()]
    assert lines[0].startswith("Ticket t-1: FAILED, 1 attempt, received 20")
    assert lines[1:] == [
        "ModelRejected  execution t-1",
        "Failed 1m ago with ModelRejected: no",
        "States of execution t-1:",
        "Store Ticket",
        "Classify Ticket  ModelRejected, 2 failed attempts",
        "Ticket Failed",
        lines[7],
        "  12:00:00  ClassifyFunction  WARNING  task failed  error=ModelRejected  reason=Converse: denied",
    ]
    assert lines[7].startswith("Log of the functions until ")
    assert "charged twice" not in out


def test_a_ticket_that_only_the_queue_contains_is_shown(
    context: ContextFactory, pipeline: Pipeline, logs: Logs, capsys: Any
) -> None:
    cause = {"errorMessage": "GetItem: AccessDeniedException: no", "errorType": "StoreRejected"}
    pipeline.queue_failure("t-1", "StoreRejected", cause=json.dumps(cause))

    assert show_ticket(context(), "t-1", FUNCTIONS) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "Ticket t-1 is not stored: only the failed-tickets queue contains it.",
        "Failed 59s ago with StoreRejected: GetItem: AccessDeniedException: no",
    ]
    assert lines[-1] == "  nothing; logs are kept for a limited time, and are best effort"
    assert len(pipeline.failed_messages()) == 1


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("waiting", "It has been waiting since 20"),
        ("processed", "The support team was notified at 20"),
        ("leased", "An execution is processing it, until 20"),
        ("dismissed", "It was dismissed at 20"),
    ],
)
@pytest.mark.usefixtures("logs")
def test_the_state_of_a_ticket_is_shown(
    context: ContextFactory, pipeline: Pipeline, capsys: Any, state: str, expected: str
) -> None:
    if state == "waiting":
        pipeline.defer("t-1")
    elif state == "dismissed":
        pipeline.fail("t-1")
        failed = pipeline.table.get("t-1")
        assert failed
        pipeline.table.dismiss(failed, {"by": "arn:me", "at": "2026-01-31T12:00:00.000Z", "reason": "r"})
    else:
        pipeline.store("t-1")
        pipeline.claim("t-1")
    if state == "processed":
        pipeline.process("t-1")

    assert show_ticket(context(), "t-1", FUNCTIONS) == 0

    assert f"\n{expected}" in capsys.readouterr().out


def test_only_the_last_lines_of_the_log_are_shown(
    context: ContextFactory, pipeline: Pipeline, logs: Logs, capsys: Any
) -> None:
    pipeline.fail("t-1")
    for number in range(MAX_LINES + 5):
        logs.line(f"line {number:02}")

    show_ticket(context(), "t-1", FUNCTIONS)

    shown = [line.rpartition(" ")[2] for line in capsys.readouterr().out.splitlines() if "  line " in line]
    assert shown == [f"{number:02}" for number in range(5, MAX_LINES + 5)]


def test_an_unknown_ticket_is_reported(context: ContextFactory, pipeline: Pipeline) -> None:
    pipeline.queue_failure("t-2")
    with pytest.raises(UsageError, match="Ticket t-1 does not exist in the stack, neither in the table nor"):
        show_ticket(context(), "t-1", FUNCTIONS)


def test_an_unreadable_ticket_is_reported(
    context: ContextFactory, pipeline: Pipeline, logs: Logs, capsys: Any
) -> None:
    item = {"ticketId": {"S": "t-1"}, "updatedAt": {"S": "now"}}
    pipeline.target.dynamodb.put_item(TableName=pipeline.target.tickets_table, Item=item)

    assert show_ticket(context(), "t-1", FUNCTIONS) == 1

    assert capsys.readouterr().out.startswith("Ticket t-1 is unreadable (TicketUnreadable in the runbook): ")


DENIED = "Converse: AccessDeniedException: no access"


@pytest.mark.parametrize(
    ("error", "cause", "shown"),
    [
        ("ModelRejected", DENIED, DENIED),
        ("ModelRejected", '{"errorMessage": "Converse:\\n\\u001b[2Jno"}', "Converse: [2Jno"),
        ("WaitedTooLong", "The ticket has waited since noon.", "The ticket has waited since noon."),
        ("Lambda.TooManyRequestsException", "Rate exceeded", "Rate exceeded"),
        ("States.Timeout", "", "unknown"),
        ("ModelRejected", "x" * 500, "x" * 300),
    ],
)
def test_the_cause_of_an_expected_error_is_shown_in_one_line(error: str, cause: str, shown: str) -> None:
    assert readable_cause(error, cause) == shown


@pytest.mark.parametrize(
    ("error", "cause"),
    [("KeyError", "'My card number is 4711'"), ("States.Runtime", "not found in the input '{…}'")],
)
def test_the_cause_of_an_unexpected_error_is_not_shown(error: str, cause: str) -> None:
    assert readable_cause(error, cause).startswith("not shown, because it may quote the customer: ")
