"""One execution fails on purpose: its message is kept, and a replay of it gets through.

Nothing is changed in the stack for it. The execution is started with an input that Store Ticket refuses,
because `receivedAt` is missing. So nothing is stored, the model is not asked, and the failure goes where
every failure goes: Catch, failure topic, subscription, queue policy, queue. Then the check does what an
operator would do: it adds what the message's input lacks, and moves the message to the waiting room. Trigger,
function, alias, model and announcement are those of every replay. Whoever gets the alarms hears of it once.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from ops.logs import Execution
from ops.queue import Held, Message
from ops.report import harmless
from ops.verify.finding import CheckError, Finding, failed, ok, warning
from ops.verify.site import Patience, Sent, Site
from ops.verify.ticket_checks import unlike

_CONTENT = (
    "This ticket failed on purpose: make verify-aws checks that a replay mends it. Nothing has to be done."
)
# How long a replay may take though the deadline has come: it begins after everything else.
_REPLAY_SECONDS = 60
# How long the end waits for a message that it has to remove: an execution that fails takes seconds.
_REMOVAL_SECONDS = 30


def start(site: Site) -> Finding:
    """Start what will fail."""
    ticket_id = str(uuid.uuid4())
    request = {"subject": f"{site.mark} nothing to do", "content": _CONTENT}
    caller = {"subject": site.customer.subject, "groups": ""}
    submission = {"ticketId": ticket_id, "channel": "web", "caller": caller, "request": request}
    site.leftovers.add(f"failure message of ticket {ticket_id}", lambda: _remove(site))
    site.stack.client("stepfunctions").start_execution(
        stateMachineArn=site.id_of("TicketPipelineAliaslive"), name=ticket_id, input=json.dumps(submission)
    )
    site.failing = Sent(ticket_id, request)
    return ok(f"Execution {ticket_id} has begun, without receivedAt.")


def kept(site: Site) -> Finding:
    """The failure is in the failed-tickets queue, with all that a replay needs."""
    ours = _failing(site)

    def look() -> Mapping[str, Any] | None:
        with site.target.failed_tickets.held() as messages:
            return next((body for _, body in _of(ours, messages)), None)

    body = site.patience.wait_for(look)
    if body is None:
        return failed(
            f"Execution {ours.ticket_id} left no message in the failed-tickets queue.",
            "Read the execution in the console; see TicketPipelineRole and the topic's subscription.",
        )
    if body.get("error") != "InvalidTicket":
        return failed(
            f"It failed by {harmless(str(body.get('error')))} in place of InvalidTicket.",
            "See docs/runbook.md, What a failure looks like.",
        )
    if Execution(str(body.get("execution"))).name != ours.ticket_id:
        return warning(
            f"Its execution is {harmless(str(body.get('execution')))}: make recover cannot read its name.",
            "Correct ops/logs.py, and note it in docs/aws.md.",
        )
    return ok(
        "The failure is in the failed-tickets queue: InvalidTicket, with the execution's name and input."
    )


def replayed(site: Site) -> Finding:
    """Mended and moved to the waiting room, the same ticket gets through."""
    ours, moved = _failing(site), False
    with site.target.failed_tickets.held() as messages:
        for message, body in _of(ours, messages):
            received = round(site.began.timestamp() * 1000)
            mended = body | {"input": body["input"] | {"receivedAt": received}}
            site.target.waiting_room.send(json.dumps(mended))
            messages.delete(message)
            moved = True
    if not moved:
        raise CheckError("There is no failure message to replay.")
    site.tickets.append(ours)
    site.patience.allow(_REPLAY_SECONDS)
    if problem := unlike(site, ours):
        return failed(
            f"Replayed ticket {ours.ticket_id} {problem}.",
            "Read the log of ResumeFunction; what it cannot start comes back to the failed-tickets queue.",
        )
    if not site.patience.wait_for(lambda: site.inbox.announcements()[ours.ticket_id]):
        return failed(f"Replayed ticket {ours.ticket_id} is not announced.", "See docs/runbook.md.")
    return ok(f"Ticket {ours.ticket_id} was replayed: processed and announced.")


def queue_left_clean(site: Site) -> Finding:
    """Nothing of the check's stays in the failed-tickets queue."""
    ids = {sent.ticket_id for sent in site.tickets} | ({site.failing.ticket_id} if site.failing else set())
    with site.target.failed_tickets.held() as messages:
        left = [message.id for message in messages if _ticket_id(_body(message)) in ids]
    if not left:
        return ok("No message of the check is in the failed-tickets queue.")
    return failed(
        f"Of the check's tickets, {len(left)} left a message in the failed-tickets queue.",
        "Mend what the other rows name, then make replay; or make dismiss.",
    )


def _remove(site: Site) -> None:
    """Take the failure message out of the queue; it may still be on its way."""
    if site.failing is None or site.failing in site.tickets:
        return
    ours = site.failing

    def removed() -> bool:
        with site.target.failed_tickets.held() as messages:
            found = [message for message, _ in _of(ours, messages)]
            for message in found:
                messages.delete(message)
            return bool(found)

    if not Patience(_REMOVAL_SECONDS).wait_for(removed):
        raise CheckError("it did not arrive; should it still come, make dismiss it")


def _failing(site: Site) -> Sent:
    if site.failing is None:
        raise CheckError("No execution was started that could fail.")
    return site.failing


def _of(ours: Sent, messages: Held) -> Iterator[tuple[Message, dict[str, Any]]]:
    for message in messages:
        body = _body(message)
        if _ticket_id(body) == ours.ticket_id:
            yield message, body


def _body(message: Message) -> dict[str, Any]:
    try:
        body = json.loads(message.body)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _ticket_id(body: Mapping[str, Any]) -> str | None:
    submission = body.get("input")
    return submission.get("ticketId") if isinstance(submission, dict) else None
