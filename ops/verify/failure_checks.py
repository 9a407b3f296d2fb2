"""Checks with an execution that fails on purpose: its message is kept, and its replay succeeds.

The stack is not changed. The execution starts with an input that Store Ticket refuses, because `receivedAt`
is missing. So no ticket is stored, the model is not called, and the failure takes the path of every failure:
Catch, failure topic, subscription, queue policy, queue. Then the check acts like an operator: it adds the
missing field to the input, and moves the message to the waiting room. From there it takes the path of every
replay: trigger, function, alias, model and notification. The failure raises an alarm once.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from ops.execution_log import execution_name
from ops.formatting import sanitize
from ops.queue import Message, ReceivedMessages
from ops.verify.check_result import CheckError, CheckResult, failed, ok, warning
from ops.verify.context import CheckContext, Deadline, SubmittedTicket
from ops.verify.ticket_checks import find_problem

_CONTENT = "This ticket failed on purpose: make verify-aws checks that a replay processes it. Nothing to do."
# A replay gets at least this time, even after the deadline, because it starts after everything else.
_REPLAY_SECONDS = 60
# The cleanup waits this long for the failure message; an execution fails within seconds.
_CLEANUP_SECONDS = 30


def start(context: CheckContext) -> CheckResult:
    """Start the execution that fails."""
    ticket_id = str(uuid.uuid4())
    request = {"subject": f"{context.subject_prefix} nothing to do", "content": _CONTENT}
    caller = {"subject": context.customer.subject, "groups": ""}
    submission = {"ticketId": ticket_id, "channel": "web", "caller": caller, "request": request}
    context.cleanup.add(f"failure message of ticket {ticket_id}", lambda: _delete_message(context))
    context.stack.client("stepfunctions").start_execution(
        stateMachineArn=context.physical_id("TicketPipelineAliaslive"),
        name=ticket_id,
        input=json.dumps(submission),
    )
    context.failing = SubmittedTicket(ticket_id, request)
    return ok(f"Execution {ticket_id} was started without receivedAt.")


def message(context: CheckContext) -> CheckResult:
    """The failed-tickets queue contains the failure, with everything that a replay needs."""
    failing = _failing(context)

    def find() -> Mapping[str, Any] | None:
        with context.target.failed_tickets_queue.receive_all() as messages:
            return next((body for _, body in _messages_of(failing, messages)), None)

    body = context.deadline.wait_for(find)
    if body is None:
        return failed(
            f"Execution {failing.ticket_id} left no message in the failed-tickets queue.",
            "Read the execution in the console; see TicketPipelineRole and the topic's subscription.",
        )
    error, execution = str(body.get("error")), str(body.get("execution"))
    if error != "InvalidTicket":
        return failed(
            f"The execution failed with {sanitize(error)} instead of InvalidTicket.",
            "See docs/runbook.md, What a failure looks like.",
        )
    if execution_name(execution) != failing.ticket_id:
        return warning(
            f"The message's execution is {sanitize(execution)}: make recover cannot read its name.",
            "Correct ops/execution_log.py, and add it to docs/aws.md.",
        )
    return ok(
        "The failure is in the failed-tickets queue: InvalidTicket, with the execution's name and input."
    )


def replay(context: CheckContext) -> CheckResult:
    """The ticket is processed after its message is corrected and moved to the waiting room."""
    failing = _failing(context)
    _move_to_waiting_room(context, failing)
    context.tickets.append(failing)
    context.deadline.extend_to(_REPLAY_SECONDS)
    if problem := find_problem(context, failing):
        return failed(
            f"Replayed ticket {failing.ticket_id} {problem}.",
            "Read the log of ResumeFunction; what it cannot start returns to the failed-tickets queue.",
        )
    if not context.deadline.wait_for(lambda: context.notifications.counts()[failing.ticket_id]):
        return failed(f"No notification for replayed ticket {failing.ticket_id}.", "See docs/runbook.md.")
    return ok(f"Ticket {failing.ticket_id} was replayed and processed, and its notification has arrived.")


def queue_clean(context: CheckContext) -> CheckResult:
    """The failed-tickets queue contains no message of the check's tickets."""
    ids = {ticket.ticket_id for ticket in context.tickets}
    if context.failing:
        ids.add(context.failing.ticket_id)
    with context.target.failed_tickets_queue.receive_all() as messages:
        number = sum(_ticket_id(_parse(message)) in ids for message in messages)
    if not number:
        return ok("No message of the check is in the failed-tickets queue.")
    return failed(
        f"{number} of the check's tickets have a message in the failed-tickets queue.",
        "Fix the problems in the other rows, then use make replay or make dismiss.",
    )


def _move_to_waiting_room(context: CheckContext, failing: SubmittedTicket) -> None:
    received_at = round(context.started_at.timestamp() * 1000)
    is_moved = False
    with context.target.failed_tickets_queue.receive_all() as messages:
        for message, body in _messages_of(failing, messages):
            corrected = body | {"input": body["input"] | {"receivedAt": received_at}}
            context.target.waiting_room.send(json.dumps(corrected))
            messages.delete(message)
            is_moved = True
    if not is_moved:
        raise CheckError("There is no failure message to replay.")


def _delete_message(context: CheckContext) -> None:
    """Delete the failure message, which may not have arrived yet."""
    failing = context.failing
    if failing is None or failing in context.tickets:
        return

    def delete() -> bool:
        with context.target.failed_tickets_queue.receive_all() as messages:
            found = [message for message, _ in _messages_of(failing, messages)]
            for message in found:
                messages.delete(message)
            return bool(found)

    if not Deadline(_CLEANUP_SECONDS).wait_for(delete):
        raise CheckError("it did not arrive; if it arrives later, make dismiss removes it")


def _failing(context: CheckContext) -> SubmittedTicket:
    if context.failing is None:
        raise CheckError("The execution that fails was not started.")
    return context.failing


def _messages_of(
    ticket: SubmittedTicket, messages: ReceivedMessages
) -> Iterator[tuple[Message, dict[str, Any]]]:
    for message in messages:
        body = _parse(message)
        if _ticket_id(body) == ticket.ticket_id:
            yield message, body


def _parse(message: Message) -> dict[str, Any]:
    try:
        body = json.loads(message.body)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _ticket_id(body: Mapping[str, Any]) -> str | None:
    submission = body.get("input")
    return submission.get("ticketId") if isinstance(submission, dict) else None
