"""Reading tickets and working on them: for customers their own, for staff all."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from support.api.request import CHANGES, INDEXES, caller, readable_ticket, require_staff, stored_ticket
from support.aws.telemetry import logger
from support.domain.change import Change
from support.domain.refusals import VersionConflict
from support.domain.search import Search
from support.domain.ticket import for_customer

router = APIGatewayRouter()  # type: ignore[no-untyped-call]


@router.get("/tickets")
def list_tickets() -> dict[str, Any]:
    """One page of the tickets that are asked for and that the caller may see."""
    who = caller(router)
    query = router.current_event.query_string_parameters or {}
    search = Search.from_query(query, customer_id=None if who.is_staff else who.subject)
    page = INDEXES.search(search).to_document()
    return page if who.is_staff else page | {"tickets": [for_customer(one) for one in page["tickets"]]}


@router.get("/tickets/<ticket_id>")
def get_ticket(ticket_id: str) -> dict[str, Any]:
    """The ticket; whoever may not see it cannot tell that it exists."""
    who = caller(router)
    ticket = readable_ticket(ticket_id, who)
    return ticket.to_document() if who.is_staff else for_customer(ticket.to_document())


@router.patch("/tickets/<ticket_id>")
def change_ticket(ticket_id: str) -> dict[str, Any]:
    """The ticket with an agent's change, if nobody changed it since the agent read it."""
    who = caller(router)
    require_staff(who)
    change = Change.from_body(router.current_event.body)
    change.require_allowed_for(stored_ticket(ticket_id))
    changed = CHANGES.change(ticket_id, change, datetime.now(UTC))
    if changed is None:
        raise VersionConflict
    logger.info("ticket changed", by=who.subject, fields=sorted(change.values), version=changed.version)
    return changed.to_document()
