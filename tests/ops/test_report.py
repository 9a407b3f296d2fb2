"""The output on a terminal and in a pipe."""

import io
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from ops.failed_tickets import FailedTicket
from ops.formatting import sanitize, short_duration
from ops.progress import ReplayOutcome, ReplayResult
from ops.report import Report
from support.domain.ticket import Ticket
from tests.ops.conftest import submission

PROJECT = Path(__file__).parents[2]
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


TICKET_ID = "7f9c24e8-3b12-4a5f-9d6e-1c2b3a4d5e6f"


def failed_ticket() -> FailedTicket:
    return FailedTicket(
        ticket=Ticket.from_submission(submission(TICKET_ID), now=NOW, retention_days=0),
        submission={},
        execution="e",
        error="ModelThrottled",
        cause="",
        failed_at=NOW - timedelta(minutes=3),
        found_in=("table", "queue"),
        attempts=2,
    )


def output(*, terminal: bool, width: int = 120) -> str:
    """The output of a replay of three tickets."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width, legacy_windows=False)
    report = Report(console)
    ticket = failed_ticket()
    report.failed_tickets([ticket], NOW)
    with report.status("Reading …"):
        pass
    with report.progress(3, clock=lambda: 0) as display:
        display.refresh()
        for outcome, reason in (
            (ReplayOutcome.PROCESSED, ""),
            (ReplayOutcome.FAILED_AGAIN, "ModelRejected"),
            (ReplayOutcome.WAITING, "ModelThrottled"),
        ):
            display.show_result(ReplayResult(ticket=ticket, outcome=outcome, reason=reason))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_in_a_pipe_each_ticket_is_one_plain_line_of_any_length() -> None:
    lines = output(terminal=False, width=20).splitlines()

    assert lines == [
        f"{TICKET_ID}  ModelThrottled  3m ago  attempts 2  in table+queue  not stored",
        "Reading …",
        "7f9c24e8-3b12-4a5f-9d6e-1c2b3a4d5e6f  processed",
        "7f9c24e8-3b12-4a5f-9d6e-1c2b3a4d5e6f  failed again: ModelRejected",
    ]


def test_a_terminal_shows_a_table_and_a_progress_bar() -> None:
    screen = output(terminal=True)

    assert "Found in" in screen
    assert "ModelThrottled" in screen
    assert "Replaying" in screen
    assert "2/3" in screen
    assert "failed again: ModelRejected" in screen


def test_a_narrow_terminal_does_not_wrap_or_truncate_ids() -> None:
    screen = output(terminal=True, width=60)

    table = screen[: screen.index("Reading")]
    assert "7f9c24e8-3b12-4a5f-9d6e-1c2b3a4d5e6f" in table
    assert "…" not in table


def test_the_most_frequent_causes_are_written_first_and_rare_ones_only_counted() -> None:
    console = Console(file=io.StringIO())
    tickets = [replace(failed_ticket(), cause=f"cause {number}") for number in range(22)]

    Report(console).causes([*tickets, tickets[7]])

    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[:2] == ["2 tickets with ModelThrottled: cause 7", "1 ticket with ModelThrottled: cause 0"]
    assert lines[20:] == ["2 other causes: see make ticket TICKET=…."]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (0, "0s"), (59, "59s"), (60, "1m"), (3_599, "59m"), (7_200, "2h"), (86_400 * 13, "13d")],
)
def test_a_duration_is_shown_in_its_largest_unit(seconds: int, text: str) -> None:
    assert short_duration(timedelta(seconds=seconds)) == text


def test_a_sanitized_name_is_short_and_has_no_control_characters() -> None:
    assert sanitize("a\x1b[2J\r\nb" + "c" * 500) == "a??2J??b" + "c" * 120
    assert sanitize("") == "-"


def test_a_command_whose_output_nobody_reads_continues_quietly() -> None:
    command = "from ops.report import Report; report = Report(); report.line('1'); report.line('2'); exit(3)"
    with subprocess.Popen(
        [sys.executable, "-c", command], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, errors = process.communicate()

    assert (process.returncode, errors) == (3, b"")
