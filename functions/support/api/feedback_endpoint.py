"""The endpoint with which customers give feedback on how their ticket was handled."""

from datetime import UTC, datetime
from http import HTTPStatus

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from support.api.context import CHANGES, get_caller, readable_ticket
from support.api.request_fields import integer, json_object, text
from support.aws.telemetry import logger, record
from support.domain.feedback import replacement
from support.domain.metrics import FEEDBACK_RATING
from support.domain.plain_text import readable
from support.domain.refusals import Forbidden
from support.domain.ticket import timestamp
from support.domain.ticket_types import Feedback

MAX_COMMENT = 1_000

router = APIGatewayRouter()  # type: ignore[no-untyped-call]


@router.post("/tickets/<ticket_id>/feedback")
def give_feedback(ticket_id: str) -> Response[Feedback]:
    """Add the customer's feedback, or replace it within seven days."""
    caller = get_caller(router)
    new = _parse_feedback(router.current_event.body, datetime.now(UTC))
    ticket = readable_ticket(ticket_id, caller)
    if caller.subject != ticket.customer_id:
        raise Forbidden("Only the ticket's customer may give feedback.")
    previous = ticket.feedback or CHANGES.add_feedback(ticket_id, new)
    if previous is None:
        logger.info("feedback given", by=caller.subject, rating=new["rating"])
        record({FEEDBACK_RATING: new["rating"]})
        return _response(HTTPStatus.CREATED, new)
    changed = replacement(previous, new)
    CHANGES.replace_feedback(ticket_id, changed)
    logger.info("feedback changed", by=caller.subject, rating=new["rating"])
    record({FEEDBACK_RATING: new["rating"]})
    return _response(HTTPStatus.OK, changed)


def _parse_feedback(body: str | None, now: datetime) -> Feedback:
    document = json_object(body, ("rating", "comment"))
    feedback: Feedback = {"rating": integer(document, "rating", 1, 5), "givenAt": timestamp(now)}
    comment = readable(text(document, "comment", 1, MAX_COMMENT) or "")
    return feedback | {"comment": comment} if comment else feedback


def _response(status: HTTPStatus, document: Feedback) -> Response[Feedback]:
    return Response(status_code=status, content_type=content_types.APPLICATION_JSON, body=document)
