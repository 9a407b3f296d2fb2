"""Tickets, as customers send them: accepted, announced, and read back as they were written."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

import httpx

from ops.report import count, harmless
from ops.verify.finding import CheckError, Finding, failed, judged, ok, warning
from ops.verify.site import Sent, Site, answered

_CALM = "This ticket was sent by make verify-aws to check the deployment: nothing to do."
# What ends strings and starts templates where it is not escaped. No known attack: a firewall may block it.
HOSTILE = (
    'He said "no\\" and it\'s {{broken}} ${x} #set($ticketId = 1)$context.apiId $util.escapeJavaScript("y")'
    '\r\n\t\\","ticketId":"x"},"caller":{"subject":"victim","groups":"admins"} \\u0022 \u2028 \U0001f600 é'
)
_RUNBOOK = "See docs/runbook.md, What a failure looks like; the ticket's execution has the same name."


def submit(
    site: Site, content: str = _CALM, *, headers: Mapping[str, str] | None = None, **more: Any
) -> httpx.Response:
    """Submit a ticket as the temporary customer, and remember it when it was accepted."""
    body = {"subject": f"{site.mark} nothing to do", "content": content} | more
    answer = site.api.send(
        "POST", "/support-request", token=site.customer.id_token, body=body, headers=headers
    )
    if answer.status_code == 202:
        text = {name: body[name] for name in ("subject", "content")}
        site.tickets.append(Sent(str(answer.json()["ticketId"]), text))
    return answer


def customer(site: Site) -> Finding:
    """A temporary user of the pool."""
    customer = site.create_customer()
    if customer.is_known_in_capitals:
        return ok(f"{customer.name} signed in, also with the name in capitals.")
    return failed(
        f"{customer.name} signed in, but not with the name in capitals.",
        "No pool can be changed in this: before it has users, delete it and deploy again.",
    )


def inbox(site: Site) -> Finding:
    """A temporary subscriber of the support topic."""
    site.create_inbox()
    return ok("A temporary queue is subscribed to the support topic.")


def hostile_text(site: Site) -> Finding:
    """A ticket that would break out of what it is put into."""
    return _accepted(site, submit(site, HOSTILE, subject=f'{site.mark} nothing to do ","x":"'))


def charset(site: Site) -> Finding:
    """Many HTTP clients name the charset."""
    return _accepted(site, submit(site, headers={"Content-Type": "application/json; charset=utf-8"}))


def idempotency_key(site: Site) -> Finding:
    """HTTP/2 clients send header names in lower case."""
    key = str(uuid.uuid4())
    answer = submit(site, headers={"idempotency-key": key})
    if answer.status_code == 202 and answer.json()["ticketId"] != key:
        return failed(
            "API Gateway does not find the header idempotency-key: a repeated request is a second ticket.",
            "Correct the mapping templates in api/openapi.source.yaml; docs/aws.md says what they rest on.",
        )
    return _accepted(site, answer)


def request_id(site: Site) -> Finding:
    """A caller may choose the request id, and must not get anything into the execution by it."""
    answer = submit(site, headers={"x-amzn-RequestId": '","name":"x","input":"{}'})
    if answer.status_code != 202:
        return _accepted(site, answer)
    ticket_id = str(answer.json()["ticketId"])
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", ticket_id):
        return failed("The ticket's id is not of the form that ids have.", "Correct the mapping templates.")
    own = re.sub("[^A-Za-z0-9_-]", "-", answer.headers.get("x-amz-apigw-id", ""))
    source = "API Gateway's own (x-amz-apigw-id)" if ticket_id == own else "a UUID that replaced it"
    return ok(f"Ticket {ticket_id}: a request id that is not a UUID is not used; the id is {source}.")


def unknown_field(site: Site) -> Finding:
    """API Gateway's validator may pass over additionalProperties."""
    answer = submit(site, urgency="CRITICAL")
    if answer.status_code == 400:
        return ok("A field that the contract does not know is 400.")
    if answer.status_code == 202:
        return warning(
            "API Gateway's validator passes over additionalProperties. The field goes no further: the "
            "mapping templates copy only named fields.",
            "Nothing. Note it in docs/aws.md.",
        )
    return _accepted(site, answer)


def _accepted(site: Site, answer: httpx.Response) -> Finding:
    if answer.status_code == 202:
        return ok(f"Accepted as ticket {harmless(str(answer.json()['ticketId']))}.")
    firewall = " WafMode=block may have stopped it: read its log." if answer.status_code == 403 else ""
    return failed(
        f"A valid ticket is answered {answered(answer)}.",
        f"Find {site.run_id} in the access log (userAgent); for a 503 see the role ApiRole.{firewall}",
    )


def announced(site: Site) -> Finding:
    """Every processed ticket is announced on the support topic, once."""
    expected, inbox = [ticket for ticket in _sent(site) if ticket not in site.unprocessed], site.inbox
    if not expected:
        raise CheckError("No ticket was processed.")
    site.patience.wait_for(lambda: all(inbox.announcements()[ticket] for ticket in expected))
    seen = inbox.announcements()
    if missing := [ticket for ticket in expected if not seen[ticket]]:
        return failed(f"Not announced: {_names(missing)}.", _RUNBOOK)
    if twice := [ticket for ticket in expected if seen[ticket] > 1]:
        return warning(
            f"Announced more than once: {_names(twice)}.", "Nothing: at least once is what is promised."
        )
    return ok(f"{count(len(expected), 'ticket')} announced, each once.")


def read_back(site: Site) -> Finding:
    """Every ticket is processed, is the customer's, and has the text that was sent."""
    problems = []
    number = len(_sent(site))
    for sent in site.tickets:
        if problem := unlike(site, sent):
            problems.append(f"ticket {harmless(sent.ticket_id)} {problem}")
            site.unprocessed.add(sent.ticket_id)
    return judged(problems, f"{count(number, 'ticket')} processed, with the text as sent.", _RUNBOOK)


def unlike(site: Site, sent: Sent) -> str:
    """What is wrong with a ticket that should be processed; nothing when all is right."""

    def look() -> Mapping[str, Any]:
        answer = site.api.send("GET", f"/tickets/{sent.ticket_id}", token=site.customer.id_token)
        return answer.json() if answer.status_code == 200 else {"status": answered(answer)}

    def ended() -> bool:
        ticket.update(look())
        return "notifiedAt" in ticket or ticket["status"] == "FAILED"

    ticket: dict[str, Any] = {}
    if not site.patience.wait_for(ended):
        return f"is {ticket['status']}{_waits(site, sent.ticket_id)}"
    if ticket["status"] != "PROCESSED":
        return f"is {ticket['status']}: {harmless(ticket.get('failure', {}).get('error', ''))}"
    if ticket["customerId"] != site.customer.subject:
        return "belongs to somebody else"
    if {name: ticket.get(name) for name in sent.request} != sent.request:
        return "does not have the text that was sent"
    return "" if ticket.get("analysis") else "has no analysis"


def _waits(site: Site, ticket_id: str) -> str:
    stored = site.target.table.get(ticket_id)
    if stored is None or stored.waiting_for is None:
        return ""
    return f" and waits for {harmless(stored.waiting_for)}; it goes on by itself"


def _sent(site: Site) -> list[str]:
    if not site.tickets:
        raise CheckError("No ticket was accepted.")
    return [sent.ticket_id for sent in site.tickets]


def _names(ids: list[str]) -> str:
    return ", ".join(map(harmless, ids))
