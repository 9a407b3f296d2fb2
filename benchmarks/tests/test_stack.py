import io
import zipfile

import pytest

from benchmarks.stack.load import percentile
from benchmarks.stack.noop_handler import handler
from benchmarks.stack.releases import TASKS, noop_code
from benchmarks.stack.run import Run


def test_a_run_is_timed_from_its_first_request() -> None:
    run = Run(sent={"a": 100.0, "b": 101.0}, post_seconds=[0.1, 0.1], ended=104.0, peak_memory_bytes=1)

    assert run.tickets_per_second(run.ended) == pytest.approx(0.5)
    assert run.seconds_until({"b": 103.0, "a": 103.5}) == [2.0, 3.5]


def test_percentiles_are_interpolated() -> None:
    assert percentile([3.0, 1.0, 2.0], 50) == 2
    assert percentile([float(value) for value in range(101)], 95) == 95


def test_the_noop_release_has_a_module_for_each_task() -> None:
    archive = zipfile.ZipFile(io.BytesIO(noop_code()))

    assert sorted(archive.namelist()) == sorted(f"support/tasks/{task}.py" for task in TASKS)


def test_noop_tasks_pass_the_ticket_on() -> None:
    stored = handler({"submission": {"ticketId": "t-1"}}, None)

    assert stored == {"ticket": {"ticketId": "t-1"}, "isDuplicate": False}
    assert handler({"ticket": stored["ticket"]}, None)["ticket"] == {"ticketId": "t-1"}
