"""The endpoint with which agents approve the reply that the customer sees."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from support.api.context import CHANGES, get_caller, require_staff, stored_ticket, ticket_for
from support.api.request_fields import integer, json_object, text
from support.aws.telemetry import logger
from support.domain.analysis_schema import MAX_RESPONSE
from support.domain.plain_text import readable
from support.domain.refusals import InvalidRequest, VersionConflict
from support.domain.reply import Approval
from support.domain.ticket import MAX_VERSION

router = APIGatewayRouter()  # type: ignore[no-untyped-call]


@router.post("/tickets/<ticket_id>/reply")
def approve_reply(ticket_id: str) -> dict[str, Any]:
    """Approve the model's draft or the agent's own text, unless the ticket has changed; return the ticket."""
    caller = get_caller(router)
    require_staff(caller)
    approval = _parse_approval(router.current_event.body, by=caller.subject)
    reply = approval.reply_to(stored_ticket(ticket_id), datetime.now(UTC))
    changed = CHANGES.approve_reply(ticket_id, reply, version=approval.version)
    if changed is None:
        raise VersionConflict
    logger.info("reply approved", by=caller.subject, origin=reply["origin"], version=changed.version)
    return ticket_for(caller, changed)


def _parse_approval(body: str | None, *, by: str) -> Approval:
    document = json_object(body, ("version", "text"))
    own_text = text(document, "text", 1, MAX_RESPONSE)
    if own_text is not None and not (own_text := readable(own_text)):
        raise InvalidRequest("text must contain a visible character.")
    return Approval(version=integer(document, "version", 1, MAX_VERSION), by=by, text=own_text)
