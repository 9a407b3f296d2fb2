"""Trace: an operator sees a ticket's whole story, and nothing that the customer wrote."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from ops.options import UsageError
from ops.trace import trace
from tests.ops.conftest import FUNCTIONS, ContextFactory, Logs, Pipeline, ago

CALL = {"id": "eu.amazon.nova-lite-v1:0", "inputTokens": 1_000, "outputTokens": 200, "latencyMs": 900}
TRACE_ID = "1-6b0dce43-38766af4543377ed3aeb1123"
START = ago(minutes=1)
CONTENT = "I was charged twice."


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def log_deferred(logs: Logs, execution: str) -> None:
    """An execution that takes 4 s: the model throttles three attempts, with 2 s between them."""
    logs.event(execution, "ExecutionStarted", at=after(0), input=f'{{"request": "{CONTENT}"}}')
    logs.event(execution, "TaskStateEntered", at=after(0), name="Store Ticket")
    logs.event(execution, "TaskScheduled", at=after(0))
    logs.event(execution, "TaskSucceeded", at=after(0.5))
    logs.event(execution, "TaskStateExited", at=after(0.5), name="Store Ticket", output=CONTENT)
    logs.event(execution, "TaskStateEntered", at=after(0.5), name="Classify Ticket")
    for attempt in range(3):
        logs.event(execution, "TaskScheduled", at=after(0.5 + 1.25 * attempt))
        logs.event(
            execution, "TaskFailed", at=after(0.75 + 1.25 * attempt), error="ModelThrottled", cause=CONTENT
        )
    logs.event(execution, "TaskStateExited", at=after(3.25), name="Classify Ticket")
    logs.event(execution, "SucceedStateEntered", at=after(4), name="Ticket Deferred")
    logs.event(execution, "ExecutionSucceeded", at=after(4))


def log_end(logs: Logs, execution: str, end: str, state: str, *, start: float) -> None:
    """An execution with one state, of one second, and its end."""
    logs.event(execution, "ExecutionStarted", at=after(start))
    logs.event(execution, "TaskStateEntered", at=after(start), name=state)
    logs.event(execution, "TaskStateExited", at=after(start + 1), name=state)
    if end:
        logs.event(execution, end, at=after(start + 1))


def printed(capsys: Any) -> list[str]:
    """The lines, without the times of states."""
    out = capsys.readouterr().out
    assert CONTENT not in out
    return [line.split("Z  ")[-1].strip() for line in out.splitlines()]


def test_a_story_has_every_execution_with_its_states_waits_errors_tokens_and_traces(
    context: ContextFactory, pipeline: Pipeline, logs: Logs, capsys: Any
) -> None:
    pipeline.store("t-1")
    pipeline.process("t-1")
    log_deferred(logs, "t-1")
    log_end(logs, "t-1-r1a2b3c4", "ExecutionSucceeded", "Notify Support", start=14)
    log_end(logs, "t-10", "ExecutionSucceeded", "Notify Support", start=14)
    again = {"execution": "t-1-r1a2b3c4", "xray_trace_id": TRACE_ID}
    logs.line("ticket classified", cold_start=True, modelCall=CALL, summary=CONTENT, **again)
    logs.line("support notified", function_name="dev-NotifyFunction-AbC1", **again)
    logs.line("ticket resumed", function_name="dev-ResumeFunction-AbC1", **again)

    assert trace(context(), "t-1", FUNCTIONS) == 0

    lines = printed(capsys)
    start = lines.index("Execution t-1: deferred after 4.000 s")
    assert lines[start + 1 : -2] == [
        "0.500 s  Store Ticket",
        "2.750 s  Classify Ticket  3 failed attempts of 3: 3 ModelThrottled; waited 2.000 s",
        "-  Ticket Deferred",
        "Execution t-1-r1a2b3c4, from the waiting room 10.000 s after the one before: notified after 1.000 s",
        "1.000 s  Notify Support",
        "cold starts: ClassifyFunction",
        "model: eu.amazon.nova-lite-v1:0, 0.900 s, 1,000 input and 200 output tokens, 0.0001080 USD",
        f"traces: {TRACE_ID}",
        "Waiting room, sweep and API:",
        "12:00:00  ResumeFunction  WARNING  ticket resumed",
    ]
    assert ", processed after " in lines[-2]
    assert ", notified after " in lines[-2]
    assert lines[-1] == "2 executions, 5.000 s in all; 1,000 input and 200 output tokens, 0.0001080 USD."


ORIGINS = {
    "ExecutionFailed": "replayed 5.000 s after",
    "ExecutionTimedOut": "swept 5.000 s after",
    "": "swept 6.000 s after",
    "ExecutionSucceeded": "5.000 s after",
}


@pytest.mark.parametrize("end", ORIGINS)
def test_how_an_execution_ended_says_what_started_the_next_one(
    context: ContextFactory, pipeline: Pipeline, logs: Logs, capsys: Any, end: str
) -> None:
    pipeline.store("t-1")
    log_end(logs, "t-1", end, "Store Ticket", start=0)
    logs.event("t-1-r1", "SucceedStateEntered", at=after(6), name="Duplicate Ignored")
    logs.event("t-1-r1", "ExecutionSucceeded", at=after(6))

    assert trace(context(), "t-1", FUNCTIONS) == 0

    lines = printed(capsys)
    expected = f"{ORIGINS[end]} the one before: duplicate ignored after 0.000 s"
    assert f"Execution t-1-r1, {expected}" in lines
    assert lines[-2].endswith(", not processed yet.")


def test_an_execution_with_another_name_is_found_by_the_functions_lines(
    context: ContextFactory, pipeline: Pipeline, logs: Logs, capsys: Any
) -> None:
    pipeline.fail("t-1")
    log_end(logs, "request-1", "ExecutionFailed", "Store Ticket", start=0)
    logs.line("ticket stored", execution="request-1")

    assert trace(context(), "t-1", FUNCTIONS) == 0

    lines = printed(capsys)
    assert "Execution request-1: failed after 1.000 s" in lines
    assert ", failed after " in lines[-2]


def test_the_cost_of_a_model_without_a_list_price_is_unknown(
    context: ContextFactory, pipeline: Pipeline, logs: Logs, capsys: Any
) -> None:
    pipeline.store("t-1")
    for call in (CALL, CALL | {"id": "another.model\n"}):
        logs.line("ticket classified", execution="t-1", modelCall=call)

    assert trace(context(), "t-1", FUNCTIONS) == 0

    lines = printed(capsys)
    assert lines[1].startswith("The log contains no execution: ")
    assert lines[-1] == "0 executions, 0.000 s in all; 2,000 input and 400 output tokens, no price known."


def test_a_ticket_that_only_the_queue_contains_is_traced(
    context: ContextFactory, pipeline: Pipeline, logs: Logs, capsys: Any
) -> None:
    pipeline.queue_failure("t-1", "StoreRejected")

    assert trace(context(), "t-1", FUNCTIONS) == 0

    assert printed(capsys)[0] == "Ticket t-1 is not stored: only the failed-tickets queue contains it."


def test_an_unknown_ticket_is_reported(context: ContextFactory, pipeline: Pipeline) -> None:
    with pytest.raises(UsageError, match="Ticket t-1 does not exist in the stack"):
        trace(context(), "t-1", FUNCTIONS)


def test_an_unreadable_ticket_is_reported(context: ContextFactory, pipeline: Pipeline, capsys: Any) -> None:
    item = {"ticketId": {"S": "t-1"}, "updatedAt": {"S": "now"}}
    pipeline.target.dynamodb.put_item(TableName=pipeline.target.tickets_table, Item=item)

    assert trace(context(), "t-1", FUNCTIONS) == 1

    assert capsys.readouterr().out.startswith("Ticket t-1 is unreadable")
