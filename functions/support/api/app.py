"""The ticket endpoints, as API Gateway calls them: every answer has the headers, every error is a problem."""

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.typing import LambdaContext

from support.api import feedback, problems, replay, tickets
from support.aws.telemetry import logger
from support.domain.errors import PipelineError, TicketNotFound
from support.domain.refusals import NotFound, Refusal

app = APIGatewayRestResolver()
app.include_router(tickets.router)
app.include_router(replay.router)
app.include_router(feedback.router)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """API Gateway's proxy event in, its response out."""
    answer = app.resolve(event, context)
    answer["multiValueHeaders"] |= {name: [value] for name, value in problems.HEADERS.items()}
    return answer


@app.exception_handler(Refusal)  # type: ignore[untyped-decorator]
def refused(refusal: Refusal) -> Response[str]:
    """What the caller asked for is not done."""
    logger.info("request refused", refusal=type(refusal).__name__)
    return problems.of_refusal(refusal)


@app.exception_handler([NotFoundError, TicketNotFound])  # type: ignore[untyped-decorator]
def not_found(_error: Exception) -> Response[str]:
    """A ticket that was deleted meanwhile, or an id with characters that no id has and no route matches."""
    return problems.of_refusal(NotFound())


@app.exception_handler(PipelineError)  # type: ignore[untyped-decorator]
def unavailable(error: PipelineError) -> Response[str]:
    """AWS's failures, told without AWS's words."""
    logger.error("request failed", error=type(error).__name__, reason=str(error))
    return problems.UNAVAILABLE.response("Please send the request again in a few seconds.")


@app.exception_handler(Exception)  # type: ignore[untyped-decorator]
def unforeseen(_error: Exception) -> Response[str]:
    """A defect: the caller gets an answer in the contract's form, the log the stack trace."""
    logger.exception("request failed")
    return problems.UNAVAILABLE.response("Please send the request again in a few seconds.")
