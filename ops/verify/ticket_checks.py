"""Checks with valid tickets: they are accepted, processed, notified, and read back as they were sent."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

import httpx

from ops.formatting import count, sanitize
from ops.verify.api_client import describe
from ops.verify.check_result import CheckError, CheckResult, failed, ok, ok_unless, warning
from ops.verify.context import CheckContext, SubmittedTicket

_CONTENT = "This ticket was sent by make verify-aws to check the deployment: nothing to do."
# Characters that end strings and start templates if they are not escaped. Without a known attack, which a
# firewall may block.
HOSTILE_TEXT = (
    'He said "no\\" and it\'s {{broken}} ${x} #set($ticketId = 1)$context.apiId $util.escapeJavaScript("y")'
    '\r\n\t\\","ticketId":"x"},"caller":{"subject":"victim","groups":"admins"} \\u0022 \u2028 \U0001f600 é'
)
_ADVICE = "See docs/runbook.md, What a failure looks like. The execution's name is the ticket's id."


def submit(
    context: CheckContext,
    content: str = _CONTENT,
    *,
    headers: Mapping[str, str] | None = None,
    **fields: Any,
) -> httpx.Response:
    """Submit a ticket as the temporary customer; add it to the context's tickets if it is accepted."""
    body = {"subject": f"{context.subject_prefix} nothing to do", "content": content} | fields
    response = context.api.send(
        "POST", "/support-request", token=context.customer.id_token, body=body, headers=headers
    )
    if response.status_code == 202:
        request = {name: body[name] for name in ("subject", "content")}
        context.tickets.append(SubmittedTicket(_accepted_id(response), request))
    return response


def customer(context: CheckContext) -> CheckResult:
    """A temporary user of the pool can sign in."""
    customer = context.create_customer()
    if customer.can_sign_in_with_capitals:
        return ok(f"{customer.name} signed in, also with the name in capitals.")
    return failed(
        f"{customer.name} signed in, but not with the name in capitals.",
        "An existing user pool cannot be changed: delete it while it has no users, and deploy again.",
    )


def notification_queue(context: CheckContext) -> CheckResult:
    """A temporary queue can subscribe to the support topic."""
    context.create_notification_queue()
    return ok("A temporary queue is subscribed to the support topic.")


def hostile_text(context: CheckContext) -> CheckResult:
    """A ticket is accepted although its text would break an unescaped template."""
    subject = f'{context.subject_prefix} nothing to do ","x":"'
    return _accepted(context, submit(context, HOSTILE_TEXT, subject=subject))


def charset(context: CheckContext) -> CheckResult:
    """A content type with a charset is accepted, because many HTTP clients send one."""
    return _accepted(context, submit(context, headers={"Content-Type": "application/json; charset=utf-8"}))


def idempotency_key(context: CheckContext) -> CheckResult:
    """The header Idempotency-Key is found in lower case, as HTTP/2 clients send it."""
    key = str(uuid.uuid4())
    response = submit(context, headers={"idempotency-key": key})
    if response.status_code == 202 and _accepted_id(response) != key:
        return failed(
            "API Gateway does not find the header idempotency-key: a repeated request is a second ticket.",
            "Correct the mapping templates in api/openapi.source.yaml; see their assumptions in docs/aws.md.",
        )
    return _accepted(context, response)


def request_id(context: CheckContext) -> CheckResult:
    """A request id that the caller chooses cannot inject anything into the execution."""
    response = submit(context, headers={"x-amzn-RequestId": '","name":"x","input":"{}'})
    if response.status_code != 202:
        return _accepted(context, response)
    ticket_id = _accepted_id(response)
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", ticket_id):
        return failed("The ticket's id has an invalid format.", "Correct the mapping templates.")
    extended_id = re.sub("[^A-Za-z0-9_-]", "-", response.headers.get("x-amz-apigw-id", ""))
    source = "API Gateway's own id (x-amz-apigw-id)" if ticket_id == extended_id else "a new UUID"
    return ok(f"Ticket {ticket_id}: a request id that is not a UUID is replaced by {source}.")


def unknown_field(context: CheckContext) -> CheckResult:
    """The API refuses unknown fields; API Gateway's validator may ignore additionalProperties."""
    response = submit(context, urgency="CRITICAL")
    if response.status_code == 400:
        return ok("A field that is not in the contract returns 400.")
    if response.status_code == 202:
        return warning(
            "API Gateway's validator ignores additionalProperties. The field is not passed on, because the "
            "mapping templates copy only known fields.",
            "Nothing. Add it to docs/aws.md.",
        )
    return _accepted(context, response)


def _accepted(context: CheckContext, response: httpx.Response) -> CheckResult:
    if response.status_code == 202:
        return ok(f"Accepted as ticket {sanitize(_accepted_id(response))}.")
    firewall = " WafMode=block may have blocked it: see its log." if response.status_code == 403 else ""
    return failed(
        f"A valid ticket returned {describe(response)}.",
        f"Find {context.run_id} in the access log (userAgent); for a 503 see the role ApiRole.{firewall}",
    )


def _accepted_id(response: httpx.Response) -> str:
    return str(response.json()["ticketId"])


def notifications(context: CheckContext) -> CheckResult:
    """The support topic delivers one notification for every processed ticket."""
    queue = context.notifications
    expected = [one for one in _accepted_ids(context) if one not in context.unprocessed]
    if not expected:
        raise CheckError("No ticket was processed.")
    context.deadline.wait_for(lambda: all(queue.counts()[ticket_id] for ticket_id in expected))
    counts = queue.counts()
    if missing := [ticket_id for ticket_id in expected if not counts[ticket_id]]:
        return failed(f"No notification for {_join(missing)}.", _ADVICE)
    if repeated := [ticket_id for ticket_id in expected if counts[ticket_id] > 1]:
        return warning(
            f"More than one notification for {_join(repeated)}.", "Nothing: delivery is at least once."
        )
    return ok(f"{count(len(expected), 'ticket')}, with one notification each.")


def read_back(context: CheckContext) -> CheckResult:
    """Every ticket is processed, belongs to the customer, and has the text that was sent."""
    number = len(_accepted_ids(context))
    problems = []
    for ticket in context.tickets:
        if problem := find_problem(context, ticket):
            problems.append(f"ticket {sanitize(ticket.ticket_id)} {problem}")
            context.unprocessed.add(ticket.ticket_id)
    return ok_unless(problems, f"{count(number, 'ticket')} processed, with the text as sent.", _ADVICE)


def find_problem(context: CheckContext, submitted: SubmittedTicket) -> str:
    """Wait until the ticket is processed; return what is wrong with it, or an empty text."""
    ticket: dict[str, Any] = {}

    def has_ended() -> bool:
        ticket.update(_read(context, submitted.ticket_id))
        return "notifiedAt" in ticket or ticket["status"] == "FAILED"

    if not context.deadline.wait_for(has_ended):
        return f"is {ticket['status']}{_wait_reason(context, submitted.ticket_id)}"
    if ticket["status"] != "PROCESSED":
        return f"is {ticket['status']}: {sanitize(ticket.get('failure', {}).get('error', ''))}"
    if ticket["customerId"] != context.customer.subject:
        return "belongs to another customer"
    if {name: ticket.get(name) for name in submitted.request} != submitted.request:
        return "does not have the text that was sent"
    return "" if ticket.get("analysis") else "has no analysis"


def _read(context: CheckContext, ticket_id: str) -> Mapping[str, Any]:
    response = context.api.send("GET", f"/tickets/{ticket_id}", token=context.customer.id_token)
    return response.json() if response.status_code == 200 else {"status": describe(response)}


def _wait_reason(context: CheckContext, ticket_id: str) -> str:
    stored = context.target.table.get(ticket_id)
    if stored is None or stored.waiting_for is None:
        return ""
    return f" and waits for {sanitize(stored.waiting_for)}; it continues automatically"


def _accepted_ids(context: CheckContext) -> list[str]:
    if not context.tickets:
        raise CheckError("No ticket was accepted.")
    return [ticket.ticket_id for ticket in context.tickets]


def _join(ids: list[str]) -> str:
    return ", ".join(map(sanitize, ids))
