"""Classify Ticket, Ask Fallback Model: return a valid analysis or raise an error, never a guess."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from support.aws import clients
from support.aws.model import Guardrail, ModelAnswer, TriageModel
from support.aws.parameters import NumberParameter
from support.aws.telemetry import logger, record
from support.domain import analysis, prompt
from support.domain.errors import ModelRejected
from support.domain.metrics import FALLBACK_ANSWERS, FALLBACK_REJECTED
from support.domain.ticket import Ticket
from support.domain.ticket_types import ModelCall
from support.domain.token_prices import TokenPrices
from support.tasks.task_handler import task_handler

GUARDRAIL = Guardrail(id=os.environ["GUARDRAIL_ID"], version=os.environ["GUARDRAIL_VERSION"])
MODEL = TriageModel(
    clients.bedrock_runtime(),
    os.environ["MODEL_ID"],
    GUARDRAIL,
    TokenPrices.parse(os.environ["TOKEN_PRICES"]),
)
FALLBACK_MODEL = TriageModel(
    clients.bedrock_runtime(),
    os.environ["FALLBACK_MODEL_ID"],
    GUARDRAIL,
    TokenPrices.parse(os.environ["FALLBACK_TOKEN_PRICES"]),
)
REVIEW_THRESHOLD = NumberParameter(
    clients.ssm(), os.environ["REVIEW_THRESHOLD_PARAMETER"], minimum=0, maximum=1
)


@task_handler("Classify Ticket", model="Ask Fallback Model")
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Analyse the ticket with the model, or with the fallback model if the event has `"model": "fallback"`.

    Event: `{"execution": str, "ticket": ticket document}`. Result: the same ticket with its analysis.
    Raises: ModelThrottled, ModelUnavailable, ModelOutputInvalid, ModelRejected, ModelRefused,
    ConfigurationUnavailable, ConfigurationInvalid, InvalidTicket.
    """
    ticket = Ticket.from_document(event["ticket"])
    # Read the parameter first: an invalid one must not cost a model call.
    review_threshold = REVIEW_THRESHOLD.value()
    ask = _ask_fallback_model if event.get("model") == "fallback" else MODEL.ask
    answer = ask(prompt.ticket_block(ticket))
    result = analysis.complete(
        answer.document,
        ticket=ticket,
        review_threshold=review_threshold,
        stopped_early=answer.stopped_early,
        model=_model_call(answer),
        now=datetime.now(UTC),
    )
    logger.info(
        "ticket classified",
        urgency=result["urgency"],
        category=result["category"],
        modelCall=result["model"],
    )
    return {"ticket": {**event["ticket"], "analysis": result}}


def _ask_fallback_model(ticket_block: str) -> ModelAnswer:
    logger.append_keys(model="fallback")
    try:
        answer = FALLBACK_MODEL.ask(ticket_block)
    except ModelRejected:
        # The ticket waits for the first model and does not fail, so the metric's alarm must report this.
        record({FALLBACK_REJECTED: 1})
        raise
    record({FALLBACK_ANSWERS: 1})
    return answer


def _model_call(answer: ModelAnswer) -> ModelCall:
    return {
        "id": answer.model_id,
        "promptVersion": prompt.VERSION,
        "inputTokens": answer.input_tokens,
        "outputTokens": answer.output_tokens,
        "latencyMs": answer.latency_ms,
    }
