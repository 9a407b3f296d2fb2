"""FilterLogEvents: which log events a filter pattern selects, and how long a page is."""

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from devtools.emulator.log_filter import MAX_BYTES, MAX_EVENTS
from devtools.emulator.tests.harness import Emulator, unique

LINES = [
    '{"type":"ExecutionStarted","n":1}',
    '{"type":"TaskStateEntered","note":"ExecutionStarted"}',
    '{"details":{"type":"ExecutionFailed"}}',
    '{"type":["ExecutionFailed"]}',
    "ExecutionFailed, but not JSON",
    '["ExecutionFailed"]',
    '{"type":"ExecutionFailed","n":2}',
]


class Group:
    """A log group with one stream."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.name = unique("group")
        client.create_log_group(logGroupName=self.name)
        client.create_log_stream(logGroupName=self.name, logStreamName="s")

    def write(self, *messages: str) -> None:
        now = round(time.time() * 1000)
        self.client.put_log_events(
            logGroupName=self.name,
            logStreamName="s",
            logEvents=[{"timestamp": now, "message": message} for message in messages],
        )

    def page(self, **arguments: Any) -> dict[str, Any]:
        response: dict[str, Any] = self.client.filter_log_events(logGroupName=self.name, **arguments)
        return response

    def find(self, **arguments: Any) -> list[str]:
        pages = self.client.get_paginator("filter_log_events").paginate(logGroupName=self.name, **arguments)
        return [event["message"] for page in pages for event in page["events"]]


@pytest.fixture
def group(emulator: Emulator) -> Group:
    return Group(emulator.client("logs"))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ('{ $.type = "Execution*" }', [LINES[0], LINES[6]]),
        ('{$.type="ExecutionFailed"}', [LINES[6]]),
        ('{ $.type = "*Started" }', [LINES[0]]),
        ('{ $.type = "*ion*" }', [LINES[0], LINES[6]]),
        ('{ $.other = "*x*" }', []),
        ("ExecutionStarted", LINES[:2]),
        ("", LINES),
    ],
)
def test_a_pattern_selects_the_same_lines_as_on_aws(group: Group, pattern: str, expected: list[str]) -> None:
    group.write(*LINES)

    assert group.find(filterPattern=pattern) == expected


@pytest.mark.parametrize(
    "pattern",
    [
        '{ $.type = "Exec*Failed" }',
        '{ $.type != "ExecutionFailed" }',
        '{ $.details.type = "ExecutionFailed" }',
        '{ ($.type = "A") || ($.type = "B") }',
        "{ $.type = Execution* }",
        "{ $.n > 1 }",
        "{",
    ],
)
def test_an_unsupported_pattern_is_refused(group: Group, pattern: str) -> None:
    with pytest.raises(ClientError, match=r"InvalidParameterException.*log_filter\.py"):
        group.page(filterPattern=pattern)


def test_a_page_ends_after_ten_thousand_events(group: Group) -> None:
    for start in range(0, MAX_EVENTS + 2, 5_001):
        group.write(*(json.dumps({"type": "Execution", "n": n}) for n in range(start, start + 5_001)))

    first = group.page(filterPattern='{ $.type = "Execution*" }')

    assert len(first["events"]) == MAX_EVENTS
    rest = group.page(filterPattern='{ $.type = "Execution*" }', nextToken=first["nextToken"])
    assert [json.loads(event["message"])["n"] for event in rest["events"]] == [MAX_EVENTS, MAX_EVENTS + 1]
    assert "nextToken" not in rest


def test_a_page_ends_before_it_exceeds_a_megabyte(group: Group) -> None:
    for n in range(6):
        group.write(f"{n}" + "x" * (MAX_BYTES // 5))

    first = group.page()

    assert [event["message"][0] for event in first["events"]] == ["0", "1", "2", "3"]
    assert [message[0] for message in group.find()] == ["0", "1", "2", "3", "4", "5"]


def test_an_invalid_token_is_refused(group: Group) -> None:
    with pytest.raises(ClientError, match="nextToken is invalid"):
        group.page(nextToken="next")


def test_a_group_that_does_not_exist_is_not_found(emulator: Emulator) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        emulator.client("logs").filter_log_events(logGroupName="nowhere", filterPattern='{ $.a = "b" }')
