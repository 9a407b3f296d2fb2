"""The ticket endpoints: adds the common headers, and turns every error into a problem document."""

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.typing import LambdaContext

from support.api import feedback_endpoint, problems, replay_endpoint, reply_endpoint, ticket_endpoints
from support.aws.telemetry import logger, record
from support.domain.errors import PipelineError, TicketNotFound
from support.domain.metrics import REQUESTS_REFUSED
from support.domain.refusals import NotFound, Refusal

app = APIGatewayRestResolver()
app.include_router(ticket_endpoints.router)
app.include_router(reply_endpoint.router)
app.include_router(replay_endpoint.router)
app.include_router(feedback_endpoint.router)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle API Gateway's proxy event; return its proxy response."""
    response = app.resolve(event, context)
    response["multiValueHeaders"] |= {name: [value] for name, value in problems.HEADERS.items()}
    return response


@app.exception_handler(Refusal)  # type: ignore[untyped-decorator]
def refused(refusal: Refusal) -> Response[str]:
    """The request is refused."""
    reason = type(refusal).__name__
    logger.info("request refused", refusal=reason)
    record({REQUESTS_REFUSED: 1}, Reason=reason)
    return problems.refusal_response(refusal)


@app.exception_handler([NotFoundError, TicketNotFound])  # type: ignore[untyped-decorator]
def not_found(_error: Exception) -> Response[str]:
    """The ticket was deleted during the request, or its id has characters that no route matches."""
    record({REQUESTS_REFUSED: 1}, Reason=NotFound.__name__)
    return problems.refusal_response(NotFound())


@app.exception_handler(PipelineError)  # type: ignore[untyped-decorator]
def unavailable(error: PipelineError) -> Response[str]:
    """AWS failed; the response does not contain AWS's error message."""
    logger.error("request failed", error=type(error).__name__, reason=str(error))
    return problems.UNAVAILABLE.response("Send the request again in a few seconds.")


@app.exception_handler(Exception)  # type: ignore[untyped-decorator]
def unexpected(_error: Exception) -> Response[str]:
    """A defect; the log has the stack trace."""
    logger.exception("request failed")
    return problems.UNAVAILABLE.response("Send the request again in a few seconds.")
