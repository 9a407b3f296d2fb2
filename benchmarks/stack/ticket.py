"""What one ticket writes on a running stack: to the table and its indexes, and to two logs."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.cost.dynamodb import item_bytes, write_units
from benchmarks.stack.bench import Bench
from local.settings import StackError
from local.stack import Stack

_DEADLINE_SECONDS = 30


def measure_ticket(bench: Bench) -> dict[str, float]:
    """Send one ticket, and measure its writes, its item, and its lines in the logs.

    Raises:
        StackError: the log of the ticket's execution does not end.
    """
    with _stream(bench.stack) as table:
        ((ticket_id, sent),) = bench.send_one_at_a_time(1).sent.items()
        writes = list(_writes(bench.stack, table["LatestStreamArn"], ticket_id))
    events = _execution_log(bench.stack, ticket_id, sent)
    indexes = table["GlobalSecondaryIndexes"]
    units = [write_units(write.get("OldImage"), write["NewImage"], indexes) for write in writes]
    execution_name = json.loads(events[0])["execution_arn"].split(":")[-2]
    return {
        "ticket.writes": len(writes),
        "ticket.writeUnits": sum(units),
        "ticket.itemBytes": item_bytes(writes[-1]["NewImage"]),
        "ticket.states": sum(_type(event).endswith("StateEntered") for event in events),
        "ticket.stateMachineLogLines": len(events),
        "ticket.stateMachineLogBytes": _bytes(events),
        "ticket.accessLogBytes": _bytes(_access_log(bench.stack, execution_name, sent)),
    }


@contextmanager
def _stream(stack: Stack) -> Iterator[dict[str, Any]]:
    """The table's description while it has a stream, which slows down its writes."""
    dynamodb, name = stack.client("dynamodb"), stack.tickets_table
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    yield dynamodb.update_table(TableName=name, StreamSpecification=stream)["TableDescription"]
    dynamodb.update_table(TableName=name, StreamSpecification={"StreamEnabled": False})


def _writes(stack: Stack, stream: str, ticket_id: str) -> Iterator[dict[str, Any]]:
    """The ticket's item before and after each write, oldest first."""
    streams = stack.client("dynamodbstreams")
    for shard in streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(
            StreamArn=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        for record in streams.get_records(ShardIterator=iterator)["Records"]:
            if record["dynamodb"]["Keys"]["ticketId"]["S"] == ticket_id:
                yield record["dynamodb"]


def _execution_log(stack: Stack, ticket_id: str, since: float) -> list[str]:
    """The log lines of the ticket's execution, the first one first. They may arrive late."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < deadline:
        group = stack.state_machine_log_group
        for line in filter(_starts, _log(stack, group, ticket_id, since)):
            lines = _log(stack, group, json.loads(line)["execution_arn"], since)
            if any(_type(line) == "ExecutionSucceeded" for line in lines):
                return sorted(lines, key=lambda line: int(json.loads(line)["id"]))
        time.sleep(1)
    raise StackError(f"The log of the execution of ticket {ticket_id} does not end.")


def _starts(line: str) -> bool:
    return _type(line) == "ExecutionStarted"


def _type(line: str) -> str:
    return str(json.loads(line)["type"])


def _access_log(stack: Stack, execution_name: str, since: float) -> list[str]:
    # The name of an execution is the id of the request that started it.
    return _log(stack, stack.physical_id("ApiAccessLogGroup"), execution_name, since)


def _log(stack: Stack, group: str, text: str, since: float) -> list[str]:
    """The lines of a log group since a time (in seconds since the epoch) that contain a text."""
    pages = stack.client("logs").get_paginator("filter_log_events")
    events = pages.paginate(logGroupName=group, startTime=int(since * 1000)).search("events")
    messages = (event["message"] for event in events)
    return [message for message in messages if text in message]


def _bytes(messages: list[str]) -> int:
    return sum(len(message.encode()) for message in messages)
