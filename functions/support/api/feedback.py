"""Feedback: what the ticket's own customer says about how it was handled."""

from datetime import UTC, datetime
from http import HTTPStatus

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from support.api.request import CHANGES, caller, readable_ticket
from support.aws.telemetry import logger
from support.domain import feedback
from support.domain.refusals import Forbidden
from support.domain.ticket import Feedback

router = APIGatewayRouter()  # type: ignore[no-untyped-call]


@router.post("/tickets/<ticket_id>/feedback")
def give_feedback(ticket_id: str) -> Response[Feedback]:
    """Given once; sent again, it replaces what was given, for seven days."""
    who = caller(router)
    new = feedback.given(router.current_event.body, datetime.now(UTC))
    ticket = readable_ticket(ticket_id, who)
    if who.subject != ticket.customer_id:
        raise Forbidden("Only the ticket's customer may give feedback.")
    earlier = ticket.feedback or CHANGES.add_feedback(ticket_id, new)
    if earlier is None:
        logger.info("feedback given", by=who.subject, rating=new["rating"])
        return _answer(HTTPStatus.CREATED, new)
    changed = feedback.changed(earlier, new)
    CHANGES.replace_feedback(ticket_id, changed)
    logger.info("feedback changed", by=who.subject, rating=new["rating"])
    return _answer(HTTPStatus.OK, changed)


def _answer(status: HTTPStatus, document: Feedback) -> Response[Feedback]:
    return Response(status_code=status, content_type=content_types.APPLICATION_JSON, body=document)
