"""The page of an execution is right with whatever lines CloudWatch Logs has: best effort, in any order."""

import json
from datetime import timedelta
from typing import Any

import pytest

from console.execution import pretty, state_views, status_of, timeline
from console.executions import NOT_ENDED
from ops.execution_states import ExecutionStates
from tests.console.log_lines import START, History, denied, parse

LATER = START + timedelta(hours=1)


def results(execution: ExecutionStates, status: str | None = None) -> dict[str, str]:
    views = state_views(execution, status or status_of(execution, LATER))
    return {view.state.name: view.summary for view in views}


def test_every_state_of_a_failure_says_what_happened_with_its_error_and_cause() -> None:
    execution = parse(denied().lines)

    assert status_of(execution, LATER) == "failed"
    assert results(execution) == {
        "Store Ticket": "succeeded",
        "Classify Ticket": "caught",
        "Record Failure": "succeeded",
        "Publish Failure": "succeeded",
        "Ticket Failed": "failed",
    }
    _, classify, *_, failed = state_views(execution, "failed")
    assert (classify.error, classify.cause) == ("ModelRejected", '{"errorMessage": "<i>denied</i>"}')
    assert json.loads(classify.state.input or "")["request"]["content"].startswith("<b>")
    assert classify.duration == timedelta(seconds=1.3)
    assert failed.error == "TicketFailed"


def test_lines_out_of_order_and_repeated_lines_change_nothing() -> None:
    lines = denied().lines

    assert parse([*reversed(lines), *lines[:7]]) == parse(lines)


@pytest.mark.parametrize("missing", range(len(denied().lines)))
def test_whichever_line_is_missing_the_other_states_are_shown(missing: int) -> None:
    lines = denied().lines

    found = results(parse(lines[:missing] + lines[missing + 1 :]), "failed")

    expected = results(parse(lines), "failed")
    wrong = [name for name in expected if found.get(name) != expected[name]]
    assert len(wrong) <= 1, wrong


def test_lines_that_are_no_events_are_skipped() -> None:
    lines: list[Any] = denied().lines
    broken = [
        "",
        "no JSON",
        lines[3][:40],
        "[1]",
        "{}",
        json.dumps({"type": "TaskFailed", "execution_arn": "a", "id": "x", "event_timestamp": "1"}),
        json.dumps({"type": "TaskFailed", "execution_arn": "a", "id": "1", "event_timestamp": "9" * 30}),
        "[" * 100_000,
        None,
    ]

    assert parse([*broken, *lines]) == parse(lines)


def test_without_execution_data_the_states_are_shown_without_input_and_output() -> None:
    def without_data(line: str) -> str:
        event = json.loads(line)
        event["details"] = {k: v for k, v in event["details"].items() if k not in ("input", "output")}
        return json.dumps(event)

    execution = parse(map(without_data, denied().lines))

    assert results(execution) == results(parse(denied().lines))
    assert {view.state.input for view in state_views(execution, "failed")} == {None}


def test_level_error_logs_no_entry_and_the_error_and_the_end_are_shown() -> None:
    lines = [line for line in denied().lines if "TaskFailed" in line or '"ExecutionFailed' in line]

    execution = parse(lines)

    assert status_of(execution, LATER) == "failed"
    assert execution.begin == execution.events[0].time
    assert [state.errors for state in execution.states] == [["ModelRejected"]]
    assert [event.type for event in execution.events] == ["TaskFailed", "ExecutionFailed"]


def test_a_truncated_payload_is_shown_as_it_is() -> None:
    assert pretty('{"content": "I was ch') == '{"content": "I was ch'
    assert pretty('{"a":1}') == '{\n  "a": 1\n}'
    assert pretty(None) == ""
    number: Any = 5
    assert pretty(number) == "5"


def test_retries_are_counted_with_timeouts_and_each_is_a_bar_of_the_timeline() -> None:
    history = History().start().enter("Classify Ticket")
    history.attempt("TaskFailed", error="ModelThrottled").attempt("TaskTimedOut", error="States.Timeout")
    history.attempt().exit("Classify Ticket").succeed()

    execution = parse(history.lines)

    assert results(execution) == {"Classify Ticket": "succeeded, 2 retries"}
    assert execution.states[0].errors == ["ModelThrottled", "States.Timeout"]
    bars = timeline(execution, state_views(execution, "notified"), LATER)
    assert [(bar["label"], bar["result"]) for bar in bars] == [
        ("Classify Ticket · 1", "caught"),
        ("Classify Ticket · 2", "caught"),
        ("Classify Ticket · 3", "succeeded"),
    ]
    assert (bars[0]["from"], bars[0]["to"]) == (200, 1300)


def test_events_of_a_function_that_is_called_by_its_arn_are_attempts_too() -> None:
    history = History().start().enter("Store Ticket")
    history.add("LambdaFunctionScheduled").add("LambdaFunctionStarted")
    history.add("LambdaFunctionTimedOut", error="States.Timeout").exit("Store Ticket").succeed()

    assert results(parse(history.lines)) == {"Store Ticket": "caught"}


def test_a_state_that_was_entered_again_is_shown_again() -> None:
    execution = parse(History().start().task("Store Ticket").task("Store Ticket").succeed().lines)

    assert [view.state.name for view in state_views(execution, "notified")] == ["Store Ticket"] * 2


@pytest.mark.parametrize(
    ("minutes", "status"), [(1, "running"), (6, "running"), (8, NOT_ENDED), (10_000, NOT_ENDED)]
)
def test_an_execution_without_an_end_runs_for_five_minutes_at_most(minutes: int, status: str) -> None:
    execution = parse(History().start().enter("Classify Ticket").add("TaskScheduled").lines)
    now = START + timedelta(minutes=minutes)

    assert status_of(execution, now) == status
    result = "running" if status == "running" else "unknown"
    assert results(execution, status) == {"Classify Ticket": result}
    (bar,) = timeline(execution, state_views(execution, status), now)
    assert bar["result"] == result


@pytest.mark.parametrize("end", ["ExecutionTimedOut", "ExecutionAborted"])
def test_a_state_that_a_timeout_or_a_stop_interrupted_has_failed(end: str) -> None:
    execution = parse(History().start().enter("Classify Ticket").add("TaskScheduled").add(end).lines)

    assert results(execution) == {"Classify Ticket": "failed"}


def test_the_last_state_says_whether_the_ticket_was_deferred() -> None:
    history = History().start().enter("Ticket Deferred", "Succeed").exit("Ticket Deferred", "Succeed")

    assert status_of(parse(history.succeed().lines), LATER) == "deferred"
