"""Logs Insights: the queries of the guides select the same lines as on AWS, and other queries are refused."""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from devtools.emulator.tests.harness import Emulator, unique
from infra.assemble import read_template

PROJECT = Path(__file__).parents[3]

LINES: list[Any] = [
    {"message": "ticket stored", "ticketId": "a", "error": "None"},
    {"message": "ticket stored", "ticketId": "b"},
    {"message": "ticket classified", "ticketId": "a"},
    {"message": "no ticket", "ticketId": ["a"]},
    "a line that is not JSON",
]


@pytest.fixture(scope="module")
def group(emulator: Emulator) -> str:
    """A log group with LINES, a millisecond apart."""
    logs, name, now = emulator.client("logs"), unique("group"), round(time.time() * 1000)
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    messages = [line if isinstance(line, str) else json.dumps(line) for line in LINES]
    events = [{"timestamp": now + number, "message": message} for number, message in enumerate(messages)]
    logs.put_log_events(logGroupName=name, logStreamName="s", logEvents=events)
    return name


def query(emulator: Emulator, group: str, text: str) -> list[dict[str, str]]:
    logs, now = emulator.client("logs"), int(time.time())
    started = logs.start_query(logGroupName=group, startTime=now - 60, endTime=now + 60, queryString=text)
    rows = logs.get_query_results(queryId=started["queryId"])["results"]
    return [{cell["field"]: cell["value"] for cell in row if cell["field"] != "@ptr"} for row in rows]


@pytest.mark.parametrize("value", ['"a"', "'a'"])
def test_a_filter_selects_lines_by_a_field_of_their_json(emulator: Emulator, group: str, value: str) -> None:
    rows = query(emulator, group, f"fields message, error | filter ticketId = {value} | sort @timestamp")

    assert rows == [
        {"message": "ticket stored", "error": "None"},
        {"message": "ticket classified", "error": ""},
    ]


def test_two_filters_select_what_both_select(emulator: Emulator, group: str) -> None:
    text = 'fields ticketId | filter ticketId = "a" | filter message = "ticket classified" | limit 5'
    assert query(emulator, group, text) == [{"ticketId": "a"}]


def test_the_emulator_answers_the_saved_queries_of_one_ticket_and_one_trace(
    emulator: Emulator, group: str
) -> None:
    part = read_template(PROJECT / "infra" / "parts" / "log-queries.yaml")["Resources"]
    answered = set()
    for name, definition in part.items():
        with suppress(ClientError):
            query(emulator, group, definition["Properties"]["QueryString"])
            answered.add(name)

    assert answered == {"OneTicketQuery", "OneTraceQuery"}


@pytest.mark.parametrize(
    "text",
    [
        "stats count(*) by message",
        'filter message in ["a"] | fields message',
        'fields message | parse message "*" as word',
        'filter ticketId = "a" or ticketId = "b"',
        "fields message | sort message",
    ],
)
def test_other_queries_are_refused(emulator: Emulator, group: str, text: str) -> None:
    with pytest.raises(ClientError, match="The emulator does not support") as raised:
        query(emulator, group, text)

    assert raised.value.response["Error"]["Code"] == "MalformedQueryException"
