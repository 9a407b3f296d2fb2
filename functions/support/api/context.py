"""What the endpoints share: the tables, the caller, and the ticket that the path names."""

import os
from dataclasses import replace
from typing import Any

from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from support.aws import clients
from support.aws.changes import TicketChanges
from support.aws.table import TicketTable
from support.aws.telemetry import logger
from support.aws.ticket_indexes import TicketIndexes
from support.domain.caller import Caller
from support.domain.refusals import Forbidden, NotFound
from support.domain.reply import ShowDrafts, shown_reply
from support.domain.ticket import MAX_TICKET_ID, Ticket
from support.domain.ticket_document import for_customer

TABLE = TicketTable(clients.dynamodb(), os.environ["TICKETS_TABLE"])
CHANGES = TicketChanges(clients.dynamodb(), os.environ["TICKETS_TABLE"])
INDEXES = TicketIndexes(clients.dynamodb(), os.environ["TICKETS_TABLE"])
SHOW_DRAFTS = ShowDrafts(os.environ["SHOW_DRAFTS"])


def get_caller(router: APIGatewayRouter) -> Caller:
    """The authenticated caller of the request."""
    claims: dict[str, Any] = router.current_event.request_context.authorizer.claims or {}
    return Caller.from_claims(claims)


def require_staff(caller: Caller) -> None:
    """Raises Forbidden unless the caller is an agent or an admin."""
    if not caller.is_staff:
        raise Forbidden("Only agents and admins may do this.")


def stored_ticket(ticket_id: str) -> Ticket:
    """The ticket. Raises NotFound."""
    logger.append_keys(ticketId=ticket_id[:MAX_TICKET_ID])
    ticket = TABLE.get(ticket_id) if len(ticket_id) <= MAX_TICKET_ID else None
    if ticket is None:
        raise NotFound
    return ticket


def readable_ticket(ticket_id: str, caller: Caller) -> Ticket:
    """The ticket. Raises NotFound if it does not exist or the caller may not read it."""
    ticket = stored_ticket(ticket_id)
    if not caller.may_read_tickets_of(ticket.customer_id):
        raise NotFound
    return ticket


def ticket_for(caller: Caller, ticket: Ticket) -> dict[str, Any]:
    """The ticket's document as the caller may see it, with the reply that the customer sees."""
    document = replace(ticket, reply=shown_reply(ticket, SHOW_DRAFTS)).to_document()
    return document if caller.is_staff else for_customer(document)
