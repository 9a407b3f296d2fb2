"""The models that can be measured, all asked by the code of Classify Ticket.

- the stand-in: the rules of `python -m devtools.model`, a process of its own;
- an OpenAI-compatible server, with the stand-in in front of it, as `make run MODEL=http…` does;
- Amazon Bedrock, with the user's own AWS profile.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

# Before the functions' code is imported: it reads the stage, and would print its metrics as log lines.
os.environ |= {"STAGE_NAME": "eval", "POWERTOOLS_METRICS_DISABLED": "true"}

from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.session import get_session

from evals.errors import ModelUnusable, UsageError
from infra.prices import model_cost
from support.aws.model import (
    MAX_TOKENS,
    AnalysisTool,
    Guardrail,
    ModelAnswer,
    TriageModel,
)
from support.domain import prompt
from support.domain.analysis_schema import schema_for
from support.domain.token_prices import TokenPrices

if TYPE_CHECKING:
    from mypy_boto3_bedrock_runtime import BedrockRuntimeClient

DEFAULT_MODEL_ID = "amazon.nova-lite-v1:0"
_MILLION = 1_000_000
_PROJECT = Path(__file__).parents[1]
_STAND_IN = _PROJECT / "devtools" / "model"
_NO_GUARDRAIL = Guardrail("", "")
_READ_TIMEOUT = 60


@dataclass(slots=True)
class Usage:
    """The tokens of one call, and its latency in milliseconds; zeros if there was no response."""

    input_tokens: int = 0
    output_tokens: int = 0
    latency_ms: int = 0


class _Meter:
    """A client for one call that notes what it used, also when the answer turns out to be invalid."""

    def __init__(self, client: BedrockRuntimeClient, usage: Usage) -> None:
        self._client = client
        self._usage = usage

    def converse(self, **request: Any) -> Any:
        response = self._client.converse(**request)
        self._usage.input_tokens = response["usage"]["inputTokens"]
        self._usage.output_tokens = response["usage"]["outputTokens"]
        self._usage.latency_ms = response["metrics"]["latencyMs"]
        return response


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model with the pipeline's prompt, and a tool with the categories of the measured set.

    `name` is for the report; `key` stands for the model in the cache; `model_id` goes into the call.
    """

    name: str
    key: str
    model_id: str
    client: BedrockRuntimeClient
    prices: TokenPrices
    tool: AnalysisTool
    is_stand_in: bool = False

    @property
    def prompt_version(self) -> str:
        """The version of the prompt with the set's categories."""
        return prompt.version(self.tool_schema)

    @property
    def tool_schema(self) -> Any:
        """The tool's schema as the model sees it."""
        return self.tool.specification["inputSchema"]["json"]

    def ask(self, ticket_block: str, usage: Usage) -> ModelAnswer:
        """Ask once, and note what the call used. Raises the errors of TriageModel.ask."""
        client = cast("BedrockRuntimeClient", _Meter(self.client, usage))
        return TriageModel(client, self.model_id, _NO_GUARDRAIL, self.prices, self.tool).ask(ticket_block)

    def cost(self, usage: Usage) -> float:
        """What a call cost, in USD."""
        return self.prices.cost(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)

    def worst_case(self, ticket_block: str) -> float:
        """The most that a call can cost, in USD: no tokenizer makes more tokens than the text has bytes."""
        size = len((prompt.INSTRUCTIONS + str(self.tool_schema) + ticket_block).encode("utf-8", "replace"))
        return self.prices.cost(input_tokens=size, output_tokens=MAX_TOKENS)


@contextmanager
def open_model(
    model: str,
    model_id: str | None,
    categories: Mapping[str, str],
    prices: TokenPrices | None,
    concurrency: int,
) -> Iterator[Model]:
    """The model that MODEL and MODEL_ID name, ready to be asked.

    Raises:
        UsageError: the options do not name a model.
        ModelUnusable: the model server or Bedrock cannot be used.
    """
    tool = AnalysisTool(schema_for(dict(categories)))
    if model == "bedrock":
        name = model_id or DEFAULT_MODEL_ID
        yield Model(
            name=name,
            key=name,
            model_id=name,
            prices=prices or list_prices(name),
            client=_bedrock(concurrency),
            tool=tool,
        )
        return
    if model and not model_id:
        raise UsageError(f"MODEL={model} needs MODEL_ID, the name of one of the server's models.")
    with _stand_in(model, model_id) as endpoint:
        yield Model(
            name=f"{model_id} at {model}" if model else "the stand-in's rules",
            key=f"{model} {model_id}" if model else f"stand-in {_rules_version()}",
            model_id=DEFAULT_MODEL_ID,
            client=_client(endpoint, concurrency),
            prices=prices or TokenPrices(0, 0),
            tool=tool,
            is_stand_in=not model,
        )


def list_prices(model_id: str) -> TokenPrices:
    """A Bedrock model's list prices. Raises UsageError if they are unknown."""
    input_price, output_price = model_cost(model_id, _MILLION, 0), model_cost(model_id, 0, _MILLION)
    if input_price is None or output_price is None:
        raise UsageError(
            f"infra/prices.toml has no price for {model_id}, which the spending cap needs: set "
            "TOKEN_PRICES=<USD per million input tokens>,<USD per million output tokens>."
        )
    return TokenPrices(input_price, output_price)


def _bedrock(concurrency: int) -> BedrockRuntimeClient:
    try:
        session = get_session()
        if session.get_credentials() is None:
            raise ModelUnusable("MODEL=bedrock needs AWS credentials: set AWS_PROFILE, or sign in.")
        return cast(
            "BedrockRuntimeClient", session.create_client("bedrock-runtime", config=_config(concurrency))
        )
    except BotoCoreError as error:
        raise ModelUnusable(f"MODEL=bedrock needs a usable AWS profile and region: {error}") from error


def _client(endpoint: str, concurrency: int) -> BedrockRuntimeClient:
    client = get_session().create_client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the stand-in reads no credentials
        config=_config(concurrency),
    )
    return cast("BedrockRuntimeClient", client)


def _config(concurrency: int) -> Config:
    # The runner repeats calls itself, so that the cap counts each of them.
    return Config(
        connect_timeout=5,
        read_timeout=_READ_TIMEOUT,
        max_pool_connections=concurrency,
        retries={"total_max_attempts": 1, "mode": "standard"},
    )


@contextmanager
def _stand_in(model: str, model_id: str | None) -> Iterator[str]:
    """A stand-in on a free port, for as long as the context lasts: its URL."""
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("MODEL", "MODEL_NAME")},
        **({"MODEL": model, "MODEL_NAME": model_id or ""} if model else {}),
    }
    command = [sys.executable, "-m", "devtools.model", "--port", "0", "--timeout-seconds", str(_READ_TIMEOUT)]
    with subprocess.Popen(
        command, cwd=_PROJECT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            first_line = process.stdout.readline() if process.stdout else ""
            if "http://" not in first_line:
                raise ModelUnusable("The model stand-in did not start; its message is above.")
            yield first_line.split()[-1]
        finally:
            process.terminate()


def _rules_version() -> str:
    """Changes with the stand-in's code, so that no answer of other rules is taken from the cache."""
    digest = hashlib.sha256()
    for path in sorted([*_STAND_IN.glob("*.py"), *_STAND_IN.glob("*.json")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
