"""The events that `make run` shows."""

import json

import pytest

from local.log_tail import format_event
from support.tasks import task_handler


@pytest.mark.parametrize("message", ["task failed", task_handler.FAILED_FOR_NOW])
def test_a_task_that_failed_is_shown_whether_or_not_it_is_retried(message: str) -> None:
    line = {
        "timestamp": "2026-01-31 12:00:00,000+0000",
        "ticketId": "t-1",
        "message": message,
        "error": "ModelThrottled",
        "reason": "Converse: ThrottlingException",
    }

    assert format_event(json.dumps(line)) == (
        f"12:00:00  t-1  {message}  ModelThrottled Converse: ThrottlingException"
    )
