"""Copies of a logged execution."""

import json
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

from devtools.load.logged_executions import copy_execution
from local.stack import Stack


class Logs:
    """A log group with one execution of two lines, one of them large; keeps the batches that are put."""

    def __init__(self) -> None:
        self.batches: list[Any] = []

    def get_paginator(self, _name: str) -> Any:
        lines = [
            {
                "timestamp": at,
                "message": json.dumps({"event_timestamp": str(at), "execution_arn": "a:old:1"} | more),
            }
            for at, more in ((1_000, {"input": "x" * 400_000}), (1_500, {"name": "old"}))
        ]
        return SimpleNamespace(paginate=lambda **_: [{"events": lines[:1]}, {"events": lines[1:]}])

    def create_log_stream(self, **_: str) -> None: ...

    def put_log_events(self, *, logEvents: Any, **_: str) -> None:  # noqa: N803 (boto3's name)
        self.batches.append(logEvents)


def test_copies_have_names_and_times_of_their_own_in_batches_that_cloudwatch_takes() -> None:
    logs, before = Logs(), int(time.time() * 1000)
    stack = SimpleNamespace(client=lambda _service: logs, state_machine_log_group="group")

    names = copy_execution(cast("Stack", stack), "old", 5, over=timedelta(seconds=50))

    events = [event for batch in logs.batches for event in batch]
    lines = [json.loads(event["message"]) for event in events]
    assert len(set(names)) == 5
    assert [line["execution_arn"] for line in lines] == [f"a:{name}:1" for name in names for _ in range(2)]
    assert [line["name"] for line in lines[1::2]] == names
    assert [line["event_timestamp"] for line in lines] == [str(event["timestamp"]) for event in events]
    starts = [event["timestamp"] for event in events[::2]]
    assert [start - starts[0] for start in starts] == [0, 10_000, 20_000, 30_000, 40_000]
    assert starts[0] >= before - 50_000
    assert all(sum(len(event["message"]) + 26 for event in batch) <= 1024 * 1024 for batch in logs.batches)
    assert len(logs.batches) > 1
