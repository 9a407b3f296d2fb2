"""The output of the commands: a table and a progress bar on a terminal, plain lines anywhere else.

It contains nothing that a customer wrote: no content, no subject, and no cause of a failure that may quote
them. Ids and error names from messages and logs are sanitized.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, repeat
from textwrap import wrap

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table
from rich.text import Text

from ops.failed_tickets import FailedTicket
from ops.failure_cause import readable_cause
from ops.formatting import count, count_reasons, long_duration, sanitize, short_duration
from ops.log_summary import StateCount
from ops.progress import Progress, ReplayOutcome, ReplayResult
from support.aws.pending import WaitingEntry

_MIN_TEXT_WIDTH = 20
_COLUMNS = ("Ticket", "Error", "Age", "Attempts", "Found in", "State")
_MAX_CAUSES = 20
_NUMBERS = ("Age", "Attempts")


class Report:
    """Writes to standard output."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)

    def line(self, text: str, style: str = "") -> None:
        """Write one line. It is wrapped only on a terminal."""
        if self._console.is_terminal:
            # Text, because the console would interpret brackets in a string as markup.
            self._console.print(Text(text, style))
        else:
            self._write_to_pipe(text)

    def _write_to_pipe(self, text: str) -> None:
        """Write one line, which the console would wrap at 80 columns."""
        try:
            self._console.file.write(text + "\n")
            self._console.file.flush()
        except BrokenPipeError:
            # Whoever read the output, such as `head`, has ended. The command continues without it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._console.file.fileno())

    def row(self, head: str, text: str, style: str = "") -> None:
        """Write a table row; on a terminal the text is wrapped in its column."""
        if not self._console.is_terminal:
            self.line(f"{head}{text}")
            return
        lines = wrap(text, max(self._console.width - len(head), _MIN_TEXT_WIDTH)) or [""]
        for prefix, line in zip(chain([head], repeat(" " * len(head))), lines, strict=False):
            self.line(f"{prefix}{line}", style)

    def failed_tickets(self, tickets: Sequence[FailedTicket], now: datetime) -> None:
        """List failed tickets."""
        rows = [_cells(ticket, now) for ticket in tickets]
        if self._console.is_terminal:
            self._console.print(_table(rows))
            return
        for ticket_id, error, age, attempts, found_in, state in rows:
            self.line(f"{ticket_id}  {error}  {age} ago  attempts {attempts}  in {found_in}  {state}")

    def causes(self, tickets: Sequence[FailedTicket]) -> None:
        """Write the causes of the failures, the most frequent ones first."""
        causes = Counter((one.error, readable_cause(one.error, one.cause)) for one in tickets).most_common()
        for (error, cause), number in causes[:_MAX_CAUSES]:
            self.row(f"{count(number, 'ticket')} with {sanitize(error)}: ", cause)
        if len(causes) > _MAX_CAUSES:
            self.line(f"{count(len(causes) - _MAX_CAUSES, 'other cause')}: see make ticket TICKET=….")

    def waiting_tickets(self, tickets: Sequence[WaitingEntry], now: datetime) -> None:
        """Write how many tickets are waiting, for what, and for how long."""
        if not tickets:
            self.line("No tickets are waiting.")
            return
        oldest = long_duration(now - min(ticket.since for ticket in tickets))
        verb = "is" if len(tickets) == 1 else "are"
        reasons = count_reasons(ticket.reason for ticket in tickets)
        self.line(f"{count(len(tickets), 'ticket')} {verb} waiting: {reasons}; the oldest for {oldest}.")

    def state_counts(self, counts: Sequence[StateCount]) -> None:
        """Write how many executions and submissions have each state, and the totals."""
        rows = [(str(one.state), one.executions, one.submissions) for one in counts]
        total = ("in the log", sum(one.executions for one in counts), sum(one.submissions for one in counts))
        self.line("executions  submissions")
        for state, executions, submissions in [*rows, total]:
            self.line(f"{executions:>10,}  {submissions:>11,}  {state}")

    @contextmanager
    def status(self, text: str) -> Iterator[None]:
        """Show the text while an operation runs."""
        if not self._console.is_terminal:
            self.line(text)
            yield
            return
        with self._console.status(Text(text)):
            yield

    @contextmanager
    def progress(self, total: int, clock: Callable[[], float]) -> Iterator["ProgressDisplay"]:
        """Show how many of the tickets' replays have ended, and the time left."""
        columns = (
            TextColumn("Replaying"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        disabled = not self._console.is_terminal
        with ProgressBar(*columns, console=self._console, transient=True, disable=disabled) as bar:
            yield ProgressDisplay(self, Progress(total, clock), bar, bar.add_task("", total=total))

    def replay_summary(self, results: Sequence[ReplayResult], seconds: float) -> None:
        """Write one line: how many tickets were processed, failed again, or are still waiting."""
        failed = [result for result in results if result.outcome is ReplayOutcome.FAILED_AGAIN]
        waiting = [result for result in results if result.outcome is ReplayOutcome.WAITING]
        processed = len(results) - len(failed) - len(waiting)
        text = f"{processed:,} of {len(results):,} processed."
        if failed:
            ids = ", ".join(sanitize(result.ticket.ticket_id) for result in failed)
            text += f" Failed again: {ids}."
        if waiting:
            text += f" {_still_waiting(waiting, seconds)}"
        self.line(text, "red" if failed else "yellow" if waiting else "green")


@dataclass(frozen=True, slots=True)
class ProgressDisplay:
    """A progress bar on a terminal, and a line every 15 seconds elsewhere."""

    report: Report
    progress: Progress
    bar: ProgressBar
    task: TaskID

    def show_result(self, result: ReplayResult) -> None:
        """Show how one replay ended. Waiting tickets appear only in the summary."""
        if result.outcome is ReplayOutcome.WAITING:
            return
        is_processed = result.outcome is not ReplayOutcome.FAILED_AGAIN
        self.progress.count(is_processed=is_processed)
        text = f"{sanitize(result.ticket.ticket_id)}  {result.outcome}"
        reason = "" if is_processed else f": {sanitize(result.reason)}"
        self.report.line(f"{text}{reason}", "green" if is_processed else "red")
        self.bar.advance(self.task)

    def refresh(self) -> None:
        """Show the time left."""
        self.bar.update(self.task, description=self.progress.time_left())
        if self.bar.disable and (line := self.progress.line()):
            self.report.line(line)


def _cells(ticket: FailedTicket, now: datetime) -> tuple[str, str, str, str, str, str]:
    return (
        sanitize(ticket.ticket_id),
        sanitize(ticket.error),
        short_duration(now - ticket.failed_at),
        str(ticket.attempts or "-"),
        "+".join(ticket.found_in),
        _state(ticket),
    )


def _state(ticket: FailedTicket) -> str:
    if ticket.is_dismissed:
        return "dismissed"
    if ticket.is_processed:
        return "already processed"
    return ticket.stored.status if ticket.stored else "not stored"


def _table(rows: Sequence[tuple[str, ...]]) -> Table:
    # Ids are never wrapped, so that they can be copied.
    id_width = max((len(row[0]) for row in rows), default=0)
    table = Table(box=None, pad_edge=False)
    for index, title in enumerate(_COLUMNS):
        table.add_column(
            title,
            min_width=id_width if index == 0 else None,
            overflow="fold",
            justify="right" if title in _NUMBERS else "left",
        )
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _still_waiting(waiting: Sequence[ReplayResult], seconds: float) -> str:
    reasons = count_reasons(result.reason for result in waiting if result.reason)
    details = f" ({reasons})" if reasons else ""
    continues = "it continues" if len(waiting) == 1 else "they continue"
    return f"{len(waiting):,} still waiting after {seconds:.0f} s{details}: {continues} automatically."
