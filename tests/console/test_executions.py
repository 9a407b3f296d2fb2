"""The list of executions reads only what is new, and copes with what the log lacks."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pytest
from botocore.exceptions import ClientError

from console import executions
from console.executions import MARGIN, Execution, ExecutionIndex, select
from tests.console.log_lines import START, TICKET, History, arn_of

NOW = START + timedelta(minutes=10)


class Logs:
    """A log group: pages of at most two lines, and the windows that were read."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, str]] = []
        self.windows: list[tuple[datetime, datetime]] = []
        self.error = ""

    def add(self, history: History) -> None:
        self.lines += [(round(history.now.timestamp() * 1000), line) for line in history.lines]

    def get_paginator(self, _name: str) -> Self:
        return self

    def paginate(
        self,
        *,
        startTime: int,  # noqa: N803
        endTime: int,  # noqa: N803
        **_: Any,
    ) -> Iterator[dict[str, Any]]:
        if self.error:
            raise ClientError({"Error": {"Code": self.error, "Message": "no"}}, "FilterLogEvents")
        self.windows.append(
            (datetime.fromtimestamp(startTime / 1000, UTC), datetime.fromtimestamp(endTime / 1000, UTC))
        )
        found = [line for time, line in self.lines if startTime <= time <= endTime]
        for number in range(0, len(found), 2):
            yield {"events": [{"message": line} for line in found[number : number + 2]]}


@pytest.fixture
def logs() -> Logs:
    return Logs()


def at(index: ExecutionIndex, now: datetime) -> ExecutionIndex:
    """The index, as if it had been made then."""
    index._read_until = index._wanted_since = index.complete_since = now
    return index


@pytest.fixture
def index(logs: Logs) -> ExecutionIndex:
    client: Any = logs
    return at(ExecutionIndex(client, "group"), NOW)


def read(index: ExecutionIndex, since: datetime = START) -> list[Execution]:
    """What a page gets, when the thread has read all."""
    index.read(since, patience=0)
    while not index.update(NOW):
        pass
    return index.read(since, patience=0)


def test_each_execution_has_its_ticket_times_and_status(index: ExecutionIndex, logs: Logs) -> None:
    logs.add(History("a").start().succeed(ticket={"notifiedAt": "now"}))
    logs.add(History("b", START + timedelta(seconds=1)).start().succeed(failure={}))
    logs.add(History("c", START + timedelta(seconds=2)).start().succeed(isDuplicate=True))
    logs.add(History("d", START + timedelta(seconds=3)).start().add("ExecutionTimedOut"))
    logs.add(History("e", NOW - timedelta(seconds=3)).start())

    found = read(index)

    assert [(one.name, one.status(NOW)) for one in found] == [
        ("e", "running"),
        ("d", "timed out"),
        ("c", "duplicate ignored"),
        ("b", "deferred"),
        ("a", "notified"),
    ]
    assert {one.ticket_id for one in found} == {TICKET}
    assert found[-1].started_at == START
    assert found[-1].ended_at == START + timedelta(seconds=0.1)


def test_level_error_logs_only_the_end_and_the_name_says_which_ticket(
    index: ExecutionIndex, logs: Logs
) -> None:
    logs.add(History(f"{TICKET}-r1a2b3c4").add("ExecutionFailed", error="TicketFailed"))

    (execution,) = read(index)

    assert (execution.started_at, execution.outcome, execution.ticket_id) == (None, "failed", TICKET)


def test_only_what_is_new_is_read_again_with_a_margin_for_late_lines(
    index: ExecutionIndex, logs: Logs
) -> None:
    read(index)
    logs.windows.clear()
    logs.add(History("late", NOW - timedelta(minutes=1)).start())
    version = index.version

    assert [one.name for one in read(index)] == ["late"]
    assert logs.windows == [(NOW - timedelta(minutes=2), NOW)]
    assert index.version == version + 1
    read(index)
    assert index.version == version + 1


def test_a_longer_range_is_read_backwards_in_slices(index: ExecutionIndex, logs: Logs) -> None:
    logs.add(History("old", NOW - timedelta(hours=5)).start())

    assert [one.name for one in read(index, NOW - timedelta(hours=6))] == ["old"]

    minutes = [(end - start) // timedelta(minutes=1) for start, end in logs.windows if end < NOW]
    assert minutes == [2, 4, 8, 16, 32, 64, 128, 104]
    assert index.complete_since == NOW - timedelta(hours=6)


def test_after_hours_without_a_page_the_list_starts_again_with_the_newest(
    index: ExecutionIndex, logs: Logs
) -> None:
    logs.add(History("old", NOW - timedelta(minutes=1)).start())
    read(index)
    logs.windows.clear()
    later = NOW + timedelta(hours=9)

    index.update(later)

    assert min(start for start, _ in logs.windows) == later - MARGIN
    assert index.read(START, patience=0) == []


def test_only_the_newest_executions_are_kept(logs: Logs) -> None:
    client: Any = logs
    index = at(ExecutionIndex(client, "group", limit=3), NOW)
    for number in range(9):
        logs.add(History(str(number), START + timedelta(seconds=number)).start())

    assert [one.name for one in read(index)] == ["8", "7", "6"]
    assert index.is_full
    assert index.complete_since == START + timedelta(seconds=6)


def test_nothing_is_read_while_nobody_looks(index: ExecutionIndex, logs: Logs) -> None:
    assert index._step() is None
    assert not logs.windows

    index.watch()

    assert index._step() is not None
    assert logs.windows


def test_throttled_reads_are_a_delay_and_other_errors_say_what_to_do(
    index: ExecutionIndex, logs: Logs
) -> None:
    index.watch()
    logs.error = "ThrottlingException"
    assert index._step() == 5
    assert index.problem.startswith("Delayed: ")

    logs.error = "AccessDeniedException"
    index._step()
    assert "do not permit FilterLogEvents" in index.problem

    logs.error = ""
    index._step()
    assert index.problem == ""


def test_the_thread_answers_a_page_that_waits(logs: Logs) -> None:
    client: Any = logs
    index = ExecutionIndex(client, "group")
    now = datetime.now(UTC)
    logs.add(History("new", now - timedelta(seconds=1)).start())
    index.start()

    assert [one.name for one in index.read(now - timedelta(minutes=15), patience=10)] == ["new"]


def rows(number: int) -> list[Execution]:
    return [Execution(arn_of(f"t-{n}"), f"t-{n}", f"t-{n}", NOW, NOW, "notified") for n in range(number)]


def test_pages_follow_each_other_without_gaps_also_when_new_executions_come() -> None:
    found = rows(250)

    first, after = select(found, NOW)
    second, after = select([*rows(1), *found], NOW, after=after)
    third, end = select(found, NOW, after=after)

    assert [*first, *second, *third] == found
    assert (len(first), end) == (executions.PAGE_SIZE, "")


def test_the_list_is_filtered_by_status_and_by_the_beginning_of_a_ticket_id() -> None:
    found = rows(12)
    found[3].outcome = "failed"
    found[4].outcome = ""

    def names(status: str = "", ticket: str = "") -> list[str]:
        page, _ = select(found, NOW, status=status, ticket=ticket)
        return [one.name for one in page]

    assert names("failed") == ["t-3"]
    assert names("running") == ["t-4"]
    assert names(ticket="t-1") == ["t-1", "t-10", "t-11"]
    assert names("failed", "t-1") == []
