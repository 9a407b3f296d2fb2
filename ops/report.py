"""What the operator sees: a table and a progress bar on a terminal, one plain line per ticket elsewhere.

Nothing a customer wrote is shown: no content, no subject, and no cause, which may quote them. What comes out
of messages and logs (ids, error names) is reduced to harmless characters first.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, repeat
from textwrap import wrap

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table
from rich.text import Text

from ops.failed import FailedTicket
from ops.ledger import Entry
from ops.outcome import Outcome, Result
from ops.progress import Progress
from support.aws.pending import WaitingEntry

_MAX_NAME = 128
_COLOURS = {Outcome.FAILED_AGAIN: "red", Outcome.WAITING: "yellow"}


class Report:
    """Writes to standard output."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)

    def say(self, text: str, style: str = "") -> None:
        """One line, whole, whatever the width."""
        if self._console.is_terminal:
            # Text, not markup: an id may hold brackets.
            self._console.print(Text(text, style))
        else:
            # Not by the console: it would wrap at 80 columns.
            self._console.file.write(text + "\n")
            self._console.file.flush()

    def row(self, head: str, text: str, style: str = "") -> None:
        """A row of a table: on a terminal the text is folded beside its head."""
        if not self._console.is_terminal:
            self.say(f"{head}{text}")
            return
        lines = wrap(text, max(self._console.width - len(head), 20)) or [""]
        for first, line in zip(chain([head], repeat(" " * len(head))), lines, strict=False):
            self.say(f"{first}{line}", style)

    def tickets(self, tickets: Sequence[FailedTicket], now: datetime) -> None:
        """List failed tickets."""
        rows = [_row(failed, now) for failed in tickets]
        if not self._console.is_terminal:
            for ticket_id, error, age, attempts, found, note in rows:
                line = f"{ticket_id}  {error}  {age} ago  attempts {attempts}  in {found}"
                self.say(f"{line}  {note}".rstrip())
            return
        table = Table(box=None, pad_edge=False)
        for index, title in enumerate(("Ticket", "Error", "Age", "Attempts", "Found in", "")):
            # An id is there to be copied: it stays in one piece, and the other columns fold.
            whole = max((len(row[0]) for row in rows), default=0) if index == 0 else None
            number = title in ("Age", "Attempts")
            table.add_column(title, min_width=whole, overflow="fold", justify="right" if number else "left")
        for row in rows:
            table.add_row(*map(Text, row))
        self._console.print(table)

    def waiting(self, waiting: Sequence[WaitingEntry], now: datetime) -> None:
        """How many tickets wait in the waiting room, for what, and for how long the oldest has."""
        if not waiting:
            self.say("No ticket waits in the waiting room.")
            return
        oldest = duration(now - min(one.since for one in waiting))
        verb = "waits" if len(waiting) == 1 else "wait"
        reasons = _reasons(one.reason for one in waiting)
        self.say(f"{count(len(waiting), 'ticket')} {verb}: {reasons}; the oldest for {oldest}.")

    def account(self, entries: Sequence[Entry]) -> None:
        """What became of all that the log holds; the last line is the sum of the others."""
        total = ("in the log", sum(e.executions for e in entries), sum(e.submissions for e in entries))
        rows = [(str(entry.fate), entry.executions, entry.submissions) for entry in entries]
        self.say("executions  submissions")
        for what, executions, submissions in [*rows, total]:
            self.say(f"{executions:>10,}  {submissions:>11,}  {what}")

    @contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """Say what takes a while."""
        if not self._console.is_terminal:
            self.say(text)
            yield
            return
        with self._console.status(Text(text)):
            yield

    @contextmanager
    def watching(self, total: int, clock: Callable[[], float]) -> Iterator["Watching"]:
        """Show how many tickets have ended, and how long the rest may take."""
        columns = (
            TextColumn("Replaying"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        disabled = not self._console.is_terminal
        with ProgressBar(*columns, console=self._console, transient=True, disable=disabled) as bar:
            yield Watching(self, Progress(total, clock), bar, bar.add_task("", total=total))

    def summary(self, results: Sequence[Result], seconds: float) -> bool:
        """Say in one line how it ended; return whether no ticket failed again."""
        again = [result for result in results if result.outcome is Outcome.FAILED_AGAIN]
        waiting = [result for result in results if result.outcome is Outcome.WAITING]
        done = len(results) - len(again) - len(waiting)
        text = f"{done:,} of {len(results):,} processed."
        if again:
            ids = ", ".join(harmless(result.failed.ticket_id) for result in again)
            text += f" Failed again: {ids}."
        if waiting:
            reasons = _reasons(result.reason for result in waiting if result.reason)
            why = f" ({reasons})" if reasons else ""
            goes = "it goes on by itself" if len(waiting) == 1 else "they go on by themselves"
            text += f" {len(waiting):,} still waiting after {seconds:.0f} s{why}: {goes}."
        self.say(text, "red" if again else "yellow" if waiting else "green")
        return not again


@dataclass(frozen=True, slots=True)
class Watching:
    """What is shown while tickets are watched: a bar on a terminal, a line now and then elsewhere."""

    report: Report
    progress: Progress
    bar: ProgressBar
    task: TaskID

    def end(self, result: Result) -> None:
        """Say how one ended. What still waits is only counted, at the end."""
        if result.outcome is Outcome.WAITING:
            return
        self.progress.end(is_processed=result.outcome is not Outcome.FAILED_AGAIN)
        self.report.say(_line(result), _COLOURS.get(result.outcome, "green"))
        self.bar.advance(self.task)

    def tick(self) -> None:
        """Show how long the rest may take."""
        self.bar.update(self.task, description=self.progress.estimate())
        if self.bar.disable and (news := self.progress.news()):
            self.report.say(news)


def count(number: int, noun: str) -> str:
    """`1 ticket`, `2,000 tickets`."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def harmless(name: str) -> str:
    """An id or an error's name, without what could steer a terminal or be somebody's words."""
    return re.sub(r"[^A-Za-z0-9_.:/-]", "?", name[:_MAX_NAME]) or "-"


def age(of: timedelta) -> str:
    """About how long, in a table: `45s`, `12m`, `3h`, `5d`."""
    number, unit = _rounded(of)
    return f"{number}{unit[0]}"


def duration(of: timedelta) -> str:
    """About how long, in a sentence: `45 s`, `12 min`, `3 h`, `5 d`."""
    return " ".join(map(str, _rounded(of)))


def _rounded(of: timedelta) -> tuple[int, str]:
    seconds = max(0, int(of.total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return seconds // size, unit
    return seconds, "s"


def _reasons(reasons: Iterable[str]) -> str:
    """`9 for ModelThrottled, 3 for Replay`."""
    counted = Counter(map(harmless, reasons)).most_common()
    return ", ".join(f"{number:,} for {reason}" for reason, number in counted)


def _row(failed: FailedTicket, now: datetime) -> tuple[str, str, str, str, str, str]:
    note = "dismissed" if failed.is_dismissed else "processed since" if failed.is_processed else ""
    return (
        harmless(failed.ticket_id),
        harmless(failed.error),
        age(now - failed.failed_at),
        str(failed.attempts or "-"),
        "+".join(failed.found),
        note,
    )


def _line(result: Result) -> str:
    text = f"{harmless(result.failed.ticket_id)}  {result.outcome}"
    if result.outcome is Outcome.FAILED_AGAIN:
        return f"{text}: {harmless(result.reason)}"
    return text
