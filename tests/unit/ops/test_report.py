"""What the operator sees, on a terminal and in a pipe."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from ops.failed import FailedTicket
from ops.outcome import Outcome, Result
from ops.report import Report, age, harmless
from support.domain.ticket import Ticket
from tests.unit.ops.conftest import submission

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def failed(ticket_id: str = "7f9c24e8-3b12-4a5f-9d6e-1c2b3a4d5e6f") -> FailedTicket:
    return FailedTicket(
        ticket=Ticket.from_submission(submission(ticket_id), now=NOW, retention_days=0),
        submission={},
        execution="e",
        error="ModelThrottled",
        cause="",
        failed_at=NOW - timedelta(minutes=3),
        found=("table", "queue"),
        attempts=2,
    )


def reported(*, terminal: bool, width: int = 120) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width, legacy_windows=False)
    report = Report(console)
    report.tickets([failed()], NOW)
    with report.busy("Reading …"):
        pass
    with report.watching(3, clock=lambda: 0) as watching:
        watching.tick()
        watching.end(Result(failed=failed(), outcome=Outcome.PROCESSED))
        watching.end(Result(failed=failed(), outcome=Outcome.FAILED_AGAIN, reason="ModelRejected"))
        watching.end(Result(failed=failed(), outcome=Outcome.WAITING, reason="ModelThrottled"))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_pipe_gets_one_plain_line_for_each_ticket_however_narrow_it_claims_to_be() -> None:
    lines = reported(terminal=False, width=20).splitlines()

    assert lines == [
        "7f9c24e8-3b12-4a5f-9d6e-1c2b3a4d5e6f  ModelThrottled  3m ago  attempts 2  in table+queue",
        "Reading …",
        "7f9c24e8-3b12-4a5f-9d6e-1c2b3a4d5e6f  processed",
        "7f9c24e8-3b12-4a5f-9d6e-1c2b3a4d5e6f  failed again: ModelRejected",
    ]


def test_a_terminal_gets_a_table_and_a_progress_bar() -> None:
    screen = reported(terminal=True)

    assert "Found in" in screen
    assert "ModelThrottled" in screen
    assert "Replaying" in screen
    assert "2/3" in screen
    assert "failed again: ModelRejected" in screen


def test_a_narrow_terminal_shows_whole_ids_nevertheless() -> None:
    screen = reported(terminal=True, width=60)

    listed = screen[: screen.index("Reading")]
    assert "7f9c24e8-3b12-4a5f-9d6e-1c2b3a4d5e6f" in listed
    assert "…" not in listed


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (0, "0s"), (59, "59s"), (60, "1m"), (3_599, "59m"), (7_200, "2h"), (86_400 * 13, "13d")],
)
def test_an_age_is_told_in_its_largest_unit(seconds: int, text: str) -> None:
    assert age(timedelta(seconds=seconds)) == text


def test_a_name_is_cut_and_freed_of_what_could_steer_a_terminal() -> None:
    assert harmless("a\x1b[2J\r\nb" + "c" * 500) == "a??2J??b" + "c" * 120
    assert harmless("") == "-"
