"""The endpoints that list, read and change tickets: staff see all tickets, customers their own."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from support.api.context import (
    CHANGES,
    INDEXES,
    get_caller,
    readable_ticket,
    require_staff,
    stored_ticket,
    ticket_for,
)
from support.api.request_fields import integer, json_object, one_of, text
from support.api.search_query import encode_cursor, parse_search
from support.aws.telemetry import logger, record
from support.domain.analysis_schema import CATEGORIES, URGENCIES
from support.domain.change import CHANGEABLE_FIELDS, TRANSITIONS, Change
from support.domain.metrics import CORRECTIONS
from support.domain.plain_text import readable_line
from support.domain.refusals import InvalidRequest, VersionConflict
from support.domain.ticket import MAX_VERSION
from support.domain.ticket_document import for_customer
from support.domain.ticket_types import Status

MAX_ASSIGNEE = 128

router = APIGatewayRouter()  # type: ignore[no-untyped-call]


@router.get("/tickets")
def list_tickets() -> dict[str, Any]:
    """One page of the matching tickets that the caller may read."""
    caller = get_caller(router)
    query = router.current_event.query_string_parameters or {}
    page = INDEXES.search(parse_search(query, customer_id=None if caller.is_staff else caller.subject))
    tickets = page.summaries if caller.is_staff else [for_customer(summary) for summary in page.summaries]
    return {"tickets": tickets} | ({"cursor": encode_cursor(page.position)} if page.position else {})


@router.get("/tickets/<ticket_id>")
def get_ticket(ticket_id: str) -> dict[str, Any]:
    """The ticket; 404 if the caller may not read it."""
    caller = get_caller(router)
    return ticket_for(caller, readable_ticket(ticket_id, caller))


@router.patch("/tickets/<ticket_id>")
def change_ticket(ticket_id: str) -> dict[str, Any]:
    """Change the ticket, unless it has changed since the agent read it; return the changed ticket."""
    caller = get_caller(router)
    require_staff(caller)
    change = _parse_change(router.current_event.body)
    change.require_allowed_for(stored_ticket(ticket_id))
    changed = CHANGES.change(ticket_id, change, datetime.now(UTC))
    if changed is None:
        raise VersionConflict
    for name in change.corrections(changed):
        record({CORRECTIONS: 1}, Field=name)
    logger.info("ticket changed", by=caller.subject, fields=sorted(change.values), version=changed.version)
    return ticket_for(caller, changed)


def _parse_change(body: str | None) -> Change:
    document = json_object(body, ("version", *CHANGEABLE_FIELDS))
    version = integer(document, "version", 1, MAX_VERSION)
    if len(document) < 2:
        raise InvalidRequest(f"Send the version and at least one of {', '.join(CHANGEABLE_FIELDS)}.")
    status = one_of(document, "status", [status.value for status in TRANSITIONS.values()])
    assignee = text(document, "assignee", 0, MAX_ASSIGNEE)
    return Change(
        version=version,
        status=Status(status) if status else None,
        # One line: clients show it in lists.
        assignee=None if assignee is None else readable_line(assignee),
        urgency=one_of(document, "urgency", URGENCIES),
        category=one_of(document, "category", CATEGORIES),
    )
