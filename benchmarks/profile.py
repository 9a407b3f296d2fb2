"""`python -m benchmarks.profile`: show where the time of a ticket goes.

Sends N tickets (20) from CONCURRENCY clients (1) to a local stack whose functions log their times; a single
client sends each ticket when the one before is finished. Prints the mean times, and draws the timeline of a
typical ticket in docs/performance/profile.svg.
"""

import json
import os
import sys
from collections import defaultdict
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from benchmarks.stack.bench import MODEL_SECONDS, Bench, started
from benchmarks.stack.releases import TASKS, built_code
from benchmarks.stack.run import Run
from benchmarks.timeline import Invocation, Span, mean_milliseconds, timeline, to_text
from benchmarks.timeline_plot import draw
from devtools.load.plan import whole_number
from devtools.load.program import exit_code
from local.console import echo
from local.settings import PROJECT
from local.stack import Stack

_PICTURE = PROJECT / "docs" / "performance" / "profile.svg"
_TIMED_HANDLER = Path(__file__).parent / "stack" / "timed_handler.py"


def main(environment: Mapping[str, str] = os.environ) -> bool:
    """Send the tickets, and show their times."""
    tickets = whole_number(environment, "N", 20, 1, 400)
    clients = whole_number(environment, "CONCURRENCY", 1, 1, 32)
    with redirect_stdout(sys.stderr), started("profile") as bench:
        _publish_timed_release(bench)
        bench.warm_up()
        run = bench.send(tickets, clients=clients) if clients > 1 else bench.send_one_at_a_time(tickets)
        timelines = _timelines(bench, run)
    by_length = sorted(timelines, key=lambda spans: spans[-1].end)
    title = f"A ticket on the local stack ({clients} at a time; model: {MODEL_SECONDS * 1000:.0f} ms)"
    draw(by_length[len(by_length) // 2], title, _PICTURE)
    echo(to_text(mean_milliseconds(timelines)))
    echo(f"The timeline of a typical ticket: {_PICTURE.relative_to(PROJECT)}")
    return True


def _publish_timed_release(bench: Bench) -> None:
    client = bench.stack.client("lambda")
    for function in map(bench.stack.function_name, TASKS):
        deployed = client.get_function_configuration(FunctionName=function)
        variables = {**deployed["Environment"]["Variables"], "TIMED_HANDLER": deployed["Handler"]}
        client.update_function_configuration(
            FunctionName=function, Handler="timed_handler.handler", Environment={"Variables": variables}
        )
    bench.releases.publish(built_code(timed_handler=_TIMED_HANDLER.read_text()))


def _timelines(bench: Bench, run: Run) -> list[list[Span]]:
    events = _events(bench.stack, min(run.sent.values()))
    invocations = _invocations(bench.functions_log)
    return [timeline(sent, events[ticket], invocations[ticket]) for ticket, sent in run.sent.items()]


def _events(stack: Stack, since: float) -> dict[str, list[dict[str, Any]]]:
    """The lines of the execution log by ticket id, in order."""
    pages = stack.client("logs").get_paginator("filter_log_events")
    executions: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for page in pages.paginate(logGroupName=stack.state_machine_log_group, startTime=int(since * 1000)):
        for message in page["events"]:
            event = json.loads(message["message"])
            executions[event["execution_arn"]].append(event)
    by_number = [sorted(events, key=lambda event: int(event["id"])) for events in executions.values()]
    return {_ticket_id(events[0]): events for events in by_number}


def _ticket_id(started: Mapping[str, Any]) -> str:
    return str(json.loads(started["details"]["input"])["ticketId"])


def _invocations(log: Path) -> dict[str, list[Invocation]]:
    """The invocations that the functions logged, by ticket id, in order."""
    invocations: defaultdict[str, list[Invocation]] = defaultdict(list)
    with log.open() as lines:
        for times in (json.loads(line)["times"] for line in lines if line.startswith('{"times"')):
            invocations[times["ticketId"]].append(Invocation(times["start"], times["end"], times["calls"]))
    return {ticket: sorted(each, key=lambda one: one.start) for ticket, each in invocations.items()}


if __name__ == "__main__":
    sys.exit(exit_code(main))
