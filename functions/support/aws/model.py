"""The language model: Amazon Bedrock's Converse API, with one tool for the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import fastjsonschema
from botocore.exceptions import ClientError

from support.aws.error_translation import describe, is_transient, translate_errors
from support.aws.model_families import family_of
from support.aws.telemetry import record
from support.domain import metrics
from support.domain.analysis import clean
from support.domain.analysis_schema import SCHEMA, without_limits
from support.domain.errors import (
    ModelOutputInvalid,
    ModelRefused,
    ModelRejected,
    ModelThrottled,
    ModelUnavailable,
    PipelineError,
)
from support.domain.prompt import INSTRUCTIONS

if TYPE_CHECKING:
    from mypy_boto3_bedrock_runtime import BedrockRuntimeClient
    from mypy_boto3_bedrock_runtime.type_defs import ContentBlockTypeDef, ConverseResponseTypeDef

    from support.domain.token_prices import TokenPrices

TOOL = "record_analysis"

# Bedrock reserves quota for all of it. An analysis needs about 200 tokens; some languages need more.
MAX_TOKENS = 600

_UNUSABLE = frozenset(
    {"max_tokens", "malformed_tool_use", "malformed_model_output", "model_context_window_exceeded"}
)
_REFUSED = frozenset({"content_filtered", "guardrail_intervened"})
_THROTTLED = frozenset({"ThrottlingException", "TooManyRequestsException", "ServiceQuotaExceededException"})
# Timeouts and failures of the model; their HTTP status is 4xx.
_UNAVAILABLE = frozenset({"ModelTimeoutException", "ModelErrorException", "ModelNotReadyException"})


class AnalysisTool:
    """The tool that the model calls with its answer; `schema` is the JSON Schema of a valid answer."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.specification: dict[str, Any] = {"name": TOOL, "inputSchema": {"json": without_limits(schema)}}
        self._validate = fastjsonschema.compile(schema)

    def parse(self, tool_input: Any) -> Mapping[str, Any]:
        """The cleaned input of a call. Raises ModelOutputInvalid."""
        answer: Mapping[str, Any] = clean(tool_input)
        try:
            self._validate(answer)
        except fastjsonschema.JsonSchemaValueException as error:
            # The value is not quoted: it may contain ticket text.
            raise ModelOutputInvalid(f"{error.name or 'answer'} violates the rule {error.rule}.") from None
        return answer


_ANALYSIS_TOOL = AnalysisTool(SCHEMA)


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """A valid answer; `stopped_early` means that the model did not stop because of the tool call."""

    model_id: str
    document: Mapping[str, Any]
    stopped_early: bool
    input_tokens: int
    output_tokens: int
    latency_ms: int


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A Bedrock guardrail that checks a ticket before the model reads it; an empty id means no guardrail."""

    id: str
    version: str


class TriageModel:
    """A Bedrock model that analyses one ticket per call."""

    def __init__(
        self,
        client: BedrockRuntimeClient,
        model_id: str,
        guardrail: Guardrail,
        prices: TokenPrices,
        tool: AnalysisTool = _ANALYSIS_TOOL,
    ) -> None:
        self._client = client
        self._model_id = model_id
        self._guardrail = guardrail
        self._prices = prices
        self._tool = tool

    def ask(self, ticket_block: str) -> ModelAnswer:
        """Analyse a ticket, given as a delimited block of text; count the call and what it used.

        Raises:
            ModelThrottled, ModelUnavailable: a retry may succeed.
            ModelOutputInvalid: the answer is not a valid analysis; a retry may succeed.
            ModelRejected: Bedrock rejects the call; an operator must act.
            ModelRefused: a content filter or a guardrail stopped the answer.
        """
        values: dict[metrics.Metric, float] = {metrics.MODEL_CALLS: 1, metrics.MODEL_ERRORS: 0}
        try:
            with translate_errors(unavailable=ModelUnavailable, rejected=ModelRejected):
                response = self._converse(ticket_block)
            values |= self._usage(response)
            return _parse(response, self._model_id, self._tool)
        except ModelThrottled:
            raise  # no error: the ticket only waits
        except Exception:
            values[metrics.MODEL_ERRORS] = 1
            raise
        finally:
            record(values)

    def _usage(self, response: ConverseResponseTypeDef) -> dict[metrics.Metric, float]:
        # An answer that turns out to be invalid costs as much as any other.
        input_tokens, output_tokens = response["usage"]["inputTokens"], response["usage"]["outputTokens"]
        return {
            metrics.MODEL_LATENCY: response["metrics"]["latencyMs"],
            metrics.INPUT_TOKENS: input_tokens,
            metrics.OUTPUT_TOKENS: output_tokens,
            metrics.MODEL_COST: self._prices.cost(input_tokens=input_tokens, output_tokens=output_tokens),
        }

    def _converse(self, ticket_block: str) -> ConverseResponseTypeDef:
        try:
            return self._client.converse(
                modelId=self._model_id,
                system=[{"text": INSTRUCTIONS}],
                messages=[{"role": "user", "content": [self._content(ticket_block)]}],
                **family_of(self._model_id).request(max_tokens=MAX_TOKENS, tool=self._tool.specification),
                **self._guardrail_config(),
            )
        except ClientError as error:
            raise _translate(error) from error

    def _content(self, ticket_block: str) -> ContentBlockTypeDef:
        # The guardrail checks only guarded content: our own instructions are not a prompt attack.
        return (
            {"guardContent": {"text": {"text": ticket_block}}}
            if self._guardrail.id
            else {"text": ticket_block}
        )

    def _guardrail_config(self) -> dict[str, Any]:
        if not self._guardrail.id:
            return {}
        identity = {"guardrailIdentifier": self._guardrail.id, "guardrailVersion": self._guardrail.version}
        return {"guardrailConfig": identity}


def _translate(error: ClientError) -> PipelineError:
    code = error.response["Error"]["Code"]
    if code in _THROTTLED:
        return ModelThrottled(describe(error))
    if code in _UNAVAILABLE or is_transient(error):
        return ModelUnavailable(describe(error))
    return ModelRejected(describe(error))


def _parse(response: ConverseResponseTypeDef, model_id: str, tool: AnalysisTool) -> ModelAnswer:
    stop_reason = response["stopReason"]
    if stop_reason in _REFUSED:
        raise ModelRefused(f"The model stopped with {stop_reason}.")
    if stop_reason in _UNUSABLE:
        raise ModelOutputInvalid(f"The model stopped with {stop_reason}.")
    return ModelAnswer(
        model_id=model_id,
        document=tool.parse(_tool_input(response)),
        stopped_early=stop_reason != "tool_use",
        input_tokens=response["usage"]["inputTokens"],
        output_tokens=response["usage"]["outputTokens"],
        latency_ms=response["metrics"]["latencyMs"],
    )


def _tool_input(response: ConverseResponseTypeDef) -> Any:
    blocks = response["output"].get("message", {"content": []})["content"]
    calls = [block["toolUse"] for block in blocks if "toolUse" in block]
    if not calls:
        raise ModelOutputInvalid(f"The model stopped with {response['stopReason']} without calling the tool.")
    if [call["name"] for call in calls] != [TOOL]:
        # The names are not quoted: the model may have copied them from the ticket.
        raise ModelOutputInvalid(f"The model made {len(calls)} tool calls; expected one call of {TOOL}.")
    return calls[0]["input"]
