"""Trace: shows an operator a ticket's whole story: its executions, their states, and what they took and cost.

It shows nothing that a customer wrote.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from infra.prices import model_cost
from ops.context import CommandContext
from ops.execution_states import EnteredState, ExecutionStates, read_executions_named
from ops.failed_tickets import FailedTicket
from ops.formatting import count, sanitize
from ops.log_reader import TimeWindow, read_lines
from ops.target import Target
from ops.ticket_log import format_lines, function_of
from ops.ticket_summary import FoundTicket, show_with_details
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Status

# Clocks differ, and lines are written after what they say.
_MARGIN = timedelta(minutes=1)
# What these functions log is not about a state.
_OTHER_FUNCTIONS = ("ResumeFunction", "SweepFunction", "TicketsFunction")


@dataclass(slots=True)
class ModelUse:
    """The tokens of valid answers, as the functions logged them, and their cost in USD."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = 0

    def add(self, call: dict[str, Any]) -> None:
        """Add a call, as the analysis describes it."""
        tokens = int(call["inputTokens"]), int(call["outputTokens"])
        cost = model_cost(str(call["id"]), *tokens)
        self.input_tokens += tokens[0]
        self.output_tokens += tokens[1]
        self.cost = None if self.cost is None or cost is None else self.cost + cost

    def __str__(self) -> str:
        cost = "no price known" if self.cost is None else f"{self.cost:.7f} USD"
        return f"{self.input_tokens:,} input and {self.output_tokens:,} output tokens, {cost}"


def trace(context: CommandContext, ticket_id: str, functions_log_group: str) -> int:
    """Show a ticket's story; return the exit code: 1 when the ticket is unreadable.

    Raises:
        UsageError: the ticket does not exist.
        PipelineError, ClientError, BotoCoreError: a call to AWS failed.
    """
    return show_with_details(
        context, ticket_id, partial(_story, context.target, functions_log_group=functions_log_group)
    )


def _story(target: Target, found: FoundTicket, *, functions_log_group: str) -> Iterator[str]:
    window = _window(found)
    lines = [*read_lines(target.logs, functions_log_group, "ticketId", found.ticket_id, window)]
    executions = [
        execution
        for name in _names(_ticket(found), lines)
        for execution in read_executions_named(target.logs, target.log_group, name, window)
    ]
    executions.sort(key=lambda execution: execution.begin)
    yield from _executions(executions, lines)
    yield from _others(lines)
    yield _times(found)
    yield _totals(executions, lines)


def _window(found: FoundTicket) -> TimeWindow:
    """The time from the submission until the notification or the failure; until now if there is neither."""
    ticket = _ticket(found)
    end = found.failed_at if isinstance(found, FailedTicket) else datetime.now(UTC)
    if ticket.notified_at:
        end = datetime.fromisoformat(ticket.notified_at)
    return TimeWindow(datetime.fromisoformat(ticket.created_at) - _MARGIN, end + _MARGIN)


def _ticket(found: FoundTicket) -> Ticket:
    return found.stored or found.ticket if isinstance(found, FailedTicket) else found


def _names(ticket: Ticket, lines: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The names of executions to look for; the ticket's id also finds those from the waiting room."""
    logged = {str(line["execution"]) for line in lines if line.get("execution")}
    names = logged | {attempt["execution"] for attempt in ticket.history or []}
    yield ticket.ticket_id
    # With an Idempotency-Key, the submission's execution has another name.
    yield from sorted(name for name in names if not f"{name}-".startswith(f"{ticket.ticket_id}-"))


def _executions(executions: Sequence[ExecutionStates], lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not executions:
        yield "The log contains no execution: logs are kept for a limited time, and are best effort."
    for previous, execution in zip([None, *executions], executions, strict=False):
        of_tasks = [
            line
            for line in lines
            if line.get("execution") == execution.name and function_of(line) not in _OTHER_FUNCTIONS
        ]
        yield f"Execution {sanitize(execution.name)}{_origin(execution, previous)}: {_end(execution)}"
        yield from (f"  {_state(state)}" for state in execution.states)
        yield from (f"  {line}" for line in _functions(of_tasks))


def _origin(execution: ExecutionStates, previous: ExecutionStates | None) -> str:
    if previous is None:
        return ""
    wait = f"{_seconds(execution.begin - (previous.ended_at or previous.begin))} after the one before"
    match previous.outcome:
        case "deferred":
            return f", from the waiting room {wait}"
        case "failed":
            return f", replayed {wait}"
        case "timed out" | "aborted" | "":
            return f", swept {wait}"
    return f", {wait}"


def _end(execution: ExecutionStates) -> str:
    if execution.ended_at is None:
        return execution.outcome or "not ended in the log"
    return f"{execution.outcome} after {_seconds(execution.ended_at - execution.begin)}"


def _state(state: EnteredState) -> str:
    duration = _seconds(state.exited_at - state.entered_at) if state.exited_at else "-"
    return f"{timestamp(state.entered_at)}  {duration:>9}  {state.name}  {_tries(state)}".rstrip()


def _tries(state: EnteredState) -> str:
    if not state.errors:
        return ""
    errors = ", ".join(f"{number} {error}" for error, number in Counter(state.errors).items())
    waited = f"; waited {_seconds(state.waited)}" if state.waited else ""
    return f"{count(len(state.errors), 'failed attempt')} of {state.tries}: {errors}{waited}"


def _functions(lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What the functions logged about an execution: cold starts, use of the model, and traces."""
    if cold := [function_of(line) for line in lines if line.get("cold_start")]:
        yield f"cold starts: {', '.join(dict.fromkeys(cold))}"
    for line in lines:
        if call := line.get("modelCall"):
            use = ModelUse()
            use.add(call)
            yield f"model: {sanitize(str(call['id']))}, {int(call['latencyMs']) / 1000:.3f} s, {use}"
    if traces := dict.fromkeys(str(line["xray_trace_id"]) for line in lines if line.get("xray_trace_id")):
        yield f"traces: {', '.join(map(sanitize, traces))}"


def _others(lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    others = [line for line in lines if function_of(line) in _OTHER_FUNCTIONS]
    if others:
        yield "Waiting room, sweep and API:"
        yield from (f"  {line}" for line in format_lines(others))


def _times(found: FoundTicket) -> str:
    ticket = _ticket(found)
    received = datetime.fromisoformat(ticket.created_at)
    processed = [one["endedAt"] for one in ticket.history or [] if one["outcome"] == Status.PROCESSED]
    steps = [
        ("processed", processed[0] if processed else None),
        ("notified", ticket.notified_at),
        ("failed", timestamp(found.failed_at) if isinstance(found, FailedTicket) else None),
    ]
    after = [
        f"{name} after {_seconds(datetime.fromisoformat(moment) - received)}"
        for name, moment in steps
        if moment
    ]
    return f"Received {ticket.created_at}, {', '.join(after) or 'not processed yet'}."


def _totals(executions: Sequence[ExecutionStates], lines: Iterable[dict[str, Any]]) -> str:
    ended = [one.ended_at - one.begin for one in executions if one.ended_at]
    use = ModelUse()
    for line in lines:
        if call := line.get("modelCall"):
            use.add(call)
    return f"{count(len(executions), 'execution')}, {_seconds(sum(ended, timedelta()))} in all; {use}."


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():,.3f} s"
